"""The gRPC edge of grades."""

from __future__ import annotations

from dealerloop.scoring.v1 import grades_pb2 as pb
from kit.rpc import names
from kit.rpc.server import Call
from scoring.frame import service as frame
from scoring.grades.showing import Showing
from scoring.grades.tallies import LiveSums
from scoring.months import reading


class GradeEdge:
    """Serves `GradeService`."""

    def __init__(self, showing: Showing) -> None:
        self._showing = showing

    async def get_grade(self, call: Call, request: pb.GetGradeRequest) -> pb.Grade:
        """A store's grade of a month: live until the month is closed, then that of the latest revision (SCR-08)."""
        month = names.parse(request.name, "stores/{store}/grades/{month}")["month"]
        latest = await reading.latest_revision(call.session, month)
        grade = await (self._closed(call, month, latest) if latest else self._live(call, month))
        grade.name = request.name
        return grade

    async def _live(self, call: Call, month: str) -> pb.Grade:
        coverage = await frame.coverage(call.session, call.store_id, month)
        grade = await self._showing.grade(call, month, LiveSums(call.store_id, month), *coverage)
        grade.state = pb.Grade.STATE_LIVE
        return grade

    async def _closed(self, call: Call, month: str, latest: int) -> pb.Grade:
        fixed = await reading.closed_grade(call.session, call.store_id, month, latest)
        # A store without a delivery or an answer was fixed as one without a grade, by the first closing.
        number = fixed.number if fixed else 1
        coverage = (fixed.sample_frame, fixed.answered) if fixed else (0, 0)
        grade = await self._showing.grade(call, month, reading.ClosedSums(call.store_id, month, number), *coverage)
        grade.state = pb.Grade.STATE_CLOSED
        grade.revision = number
        grade.late_changes = await reading.late_changes(call.session, call.store_id, month)
        return grade
