"""The gRPC edge of months."""

from __future__ import annotations

from sqlalchemy import select

from dealerloop.scoring.v1 import grades_pb2
from dealerloop.scoring.v1 import months_pb2 as pb
from kit.db.etag import etag_of
from kit.db.paging import decode_token, encode_token, keyset, page_size, query_hash, split
from kit.rpc import names
from kit.rpc.server import Call
from scoring.grades import rules
from scoring.grades.rows import marks_of
from scoring.grades.showing import Showing, index_score
from scoring.models.service import ModelCatalogue
from scoring.models.values import SatisfactionModel
from scoring.months import reading
from scoring.months.model import CountedResponseRow
from scoring.months.service import Closing
from scoring.months.values import IndexChange, Month

_GRADE = "stores/{store}/grades/{month}/revisions/{revision}"
_FIRST = ("", "", 0)
_LARGEST_PAGE_OF_CHANGES = 200


class MonthEdge:
    """Serves `MonthService`."""

    def __init__(self, closing: Closing, catalogue: ModelCatalogue, showing: Showing) -> None:
        self._closing = closing
        self._catalogue = catalogue
        self._showing = showing

    async def get_month(self, call: Call, request: pb.GetMonthRequest) -> pb.Month:
        """A month with its revisions, and the figures of the caller's reach."""
        return to_message(await reading.month_of(call.session, _month(request.name)))

    async def close_month(self, call: Call, request: pb.CloseMonthRequest) -> pb.Month:
        """SCR-08."""
        month = await self._closing.close(call.session, _month(request.name), creator=call.principal.id, now=call.now)
        return to_message(month)

    async def reopen_month(self, call: Call, request: pb.ReopenMonthRequest) -> pb.Month:
        """SCR-08."""
        month = await self._closing.reopen(
            call.session,
            _month(request.name),
            creator=call.principal.id,
            reason=request.reason,
            etag=request.etag,
            now=call.now,
        )
        return to_message(month)

    async def list_grade_changes(self, call: Call, request: pb.ListGradeChangesRequest) -> pb.ListGradeChangesResponse:
        """What a revision changed in the stores of the caller's reach."""
        parts = names.parse(request.parent, "months/{month}/revisions/{revision}", field="parent")
        month, number = parts["month"], int(parts["revision"])
        await reading.require_revision(call.session, month, number)
        binding = query_hash("gradeChanges", request.parent)
        after = decode_token(request.page_token, binding, str, str, int) or _FIRST
        size = page_size(request.page_size, largest=_LARGEST_PAGE_OF_CHANGES)
        found = await reading.index_changes(call.session, month, number, after=after, limit=size + 1)
        shown, last = split(found, size)
        models = await self._models(call, {(one.model_code, one.model_version) for one in shown})
        next_page = encode_token([last.store_id, last.model_code, last.model_version], binding) if last else ""
        return pb.ListGradeChangesResponse(
            changes=[_change(one, models[one.model_code, one.model_version]) for one in shown],
            next_page_token=next_page,
        )

    async def get_closed_grade(self, call: Call, request: pb.GetClosedGradeRequest) -> grades_pb2.Grade:
        """The grade as that revision shows it, whatever came later."""
        parts = names.parse(request.name, _GRADE)
        month, number = parts["month"], int(parts["revision"])
        fixed = await reading.require_closed_grade(call.session, call.store_id, month, number)
        sums = reading.ClosedSums(call.store_id, month, fixed.number)
        grade = await self._showing.grade(call, month, sums, fixed.sample_frame, fixed.answered)
        grade.name = request.name
        grade.state = grades_pb2.Grade.STATE_CLOSED
        grade.revision = fixed.number
        grade.late_changes = await reading.changes_since(call.session, call.store_id, month, fixed.number)
        return grade

    async def list_counted_responses(
        self, call: Call, request: pb.ListCountedResponsesRequest
    ) -> pb.ListCountedResponsesResponse:
        """Every response of a closed grade as it was counted."""
        parts = names.parse(request.parent, _GRADE, field="parent")
        month, number = parts["month"], int(parts["revision"])
        fixed = await reading.require_closed_grade(call.session, call.store_id, month, number)
        binding = query_hash("countedResponses", request.parent)
        token = decode_token(request.page_token, binding)
        size = page_size(request.page_size)
        query = select(CountedResponseRow).where(
            CountedResponseRow.month == month,
            CountedResponseRow.store_id == call.store_id,
            CountedResponseRow.revision == fixed.number,
        )
        page = keyset(query, [CountedResponseRow.response_id], token, size)
        shown, last = split((await call.session.scalars(page)).all(), size)
        models = await self._models(call, {(one.model_code, one.model_version) for one in shown})
        return pb.ListCountedResponsesResponse(
            counted_responses=[_counted(one, models[one.model_code, one.model_version]) for one in shown],
            next_page_token=encode_token([last.response_id], binding) if last else "",
        )

    async def _models(self, call: Call, wanted: set[tuple[str, int]]) -> dict[tuple[str, int], SatisfactionModel]:
        return {key: (await self._catalogue.get(call.session, *key))[0] for key in sorted(wanted)}


def to_message(month: Month) -> pb.Month:
    """The public form of a month."""
    message = pb.Month(
        name=f"months/{month.name}",
        state=pb.Month.STATE_CLOSED if month.latest else pb.Month.STATE_OPEN,
        late_changes=month.late_changes,
        etag=etag_of(month.latest),
    )
    message.end_time.FromDatetime(month.end_time)
    for one in month.revisions:
        added = message.revisions.add(
            name=f"months/{month.name}/revisions/{one.number}",
            creator=one.creator,
            reason=one.reason,
            stores=one.stores,
            responses=one.responses,
            changed_stores=one.changed_stores,
        )
        added.create_time.FromDatetime(one.create_time)
    return message


def _change(one: IndexChange, model: SatisfactionModel) -> pb.GradeChange:
    change = pb.GradeChange(
        store=f"stores/{one.store_id}",
        satisfaction_model_version=model.name,
        added_responses=one.added,
        removed_responses=one.removed,
        changed_responses=one.changed,
    )
    if one.before is not None:
        change.before.CopyFrom(index_score(model, one.before))
    if one.after is not None:
        change.after.CopyFrom(index_score(model, one.after))
    return change


def _counted(row: CountedResponseRow, model: SatisfactionModel) -> pb.CountedResponse:
    marks = marks_of(row.marks)
    counted = pb.CountedResponse(
        response_id=str(row.response_id),
        version=row.version,
        consultant=f"stores/{row.store_id}/staff/{row.consultant_id}" if row.consultant_id else "",
        mode=row.mode,
        satisfaction_model_version=model.name,
        marks=[pb.CountedMark(question=one.question, scale=one.scale.name, mark=one.mark) for one in marks],
    )
    counted.submit_time.FromDatetime(row.submit_time)
    index = rules.index_of(model, marks)
    if index is not None:
        counted.index = index
    return counted


def _month(name: str) -> str:
    return names.parse(name, "months/{month}")["month"]
