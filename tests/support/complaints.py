"""Complaints in tests: forms and commands for the rules, and the people of a store at a desk that serves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from google.protobuf.message import Message

from customer_care.clients import Sales
from customer_care.complaints import commands, rules
from customer_care.complaints.clocks import Hours
from customer_care.complaints.form import Form
from customer_care.complaints.policy import Policy
from customer_care.complaints.rules import Circumstances
from customer_care.complaints.values import Actor, Channel, Department, Level, Severity
from customer_care.contacts.service import ContactProjection
from dealerloop.customer_care.v1 import complaints_pb2 as pb
from dealerloop.sales.events.v1 import events_pb2 as sales_events
from dealerloop.sales.v1 import customers_pb2
from dealership.calendar import BusinessCalendar, Interval
from kit.db.scope import Scope
from kit.rpc.principal import Assignment
from kit.timers import TimerWorker
from tests.support.care_desk import CareDesk
from tests.support.deliveries import NOW, OTHER_STORE, STORE, recorded
from tests.support.postgres import Cloner

SHANGHAI = ZoneInfo("Asia/Shanghai")
POLICY = Policy()
EVERY_DAY = BusinessCalendar(dict.fromkeys(range(1, 8), (Interval(8 * 60 + 30, 20 * 60),)))
HOURS = Hours(EVERY_DAY, SHANGHAI)
# A Wednesday.
DAY = date(2026, 5, 20)

GM = "ROLE_GENERAL_MANAGER"
CARE = "ROLE_CARE_MANAGER"
SPECIALIST = "ROLE_CARE_SPECIALIST"
SALES = "ROLE_SALES_MANAGER"
WORKSHOP = "ROLE_AFTERSALES_MANAGER"
FINANCE = "ROLE_FINANCE_MANAGER"
QUALITY = "ROLE_GROUP_QUALITY_MANAGER"
CONSULTANT = "ROLE_SALES_CONSULTANT"
NAMES = {
    GM: "wang-gm",
    CARE: "zhao-care",
    SPECIALIST: "sun-care",
    SALES: "qian-sales",
    WORKSHOP: "li-workshop",
    FINANCE: "wu-finance",
    CONSULTANT: "li-lei",
    QUALITY: "zhou-group",
}


def at(hour: int, minute: int = 0, *, day: int = 0) -> datetime:
    """An instant on the store's clock, so many days after a Wednesday in May."""
    midnight = datetime(DAY.year, DAY.month, DAY.day, tzinfo=SHANGHAI) + timedelta(days=day)
    return (midnight + timedelta(hours=hour, minutes=minute)).astimezone(UTC)


def person(role: str, staff: str = "") -> Actor:
    """Somebody who holds the role in the store."""
    staff = staff or NAMES[role]
    return Actor(f"staff/{staff}", staff, frozenset({role}))


def when(now: datetime, *, policy: Policy = POLICY, hours: Hours = HOURS) -> Circumstances:
    """The circumstances of an action."""
    return Circumstances(now, policy, hours)


def opinion(department: Department = Department.SALES, level: Level | None = None) -> commands.SetOpinion:
    """The care manager's opinion."""
    return commands.SetOpinion("Late delivery; talk to the customer.", Severity.MEDIUM, department, level)


def answer(day: date = DAY) -> commands.Return:
    """The department's answer, promised for that day."""
    return commands.Return("The car came late.", "Apologised.", day)


CONTACT = commands.RecordContact(Channel.PHONE, "Called.")
SATISFIED = commands.CallBack(satisfied=True, note="Good.")
DISSATISFIED = commands.CallBack(satisfied=False, note="Not good.")
STEPS = (
    (CARE, opinion()),
    (GM, commands.Review(accepted=True)),
    (SALES, commands.Dispatch("li-lei")),
    (SALES, CONTACT),
    (SALES, answer()),
    (CARE, SATISFIED),
    (GM, commands.Sign()),
    (SPECIALIST, commands.Archive("Plan the hand-over a day earlier.")),
)
"""The way of a complaint that goes well; who does what."""


def opened(
    level: Level = Level.COMPLAINT, now: datetime | None = None, department: Department | None = None, **of: Any
) -> Form:
    """A form that was opened at ten, unless said otherwise."""
    return rules.opened(level, department, None, when(now or at(10), **of))


def walked(steps: int, form: Form | None = None, now: datetime | None = None) -> Form:
    """A form after so many steps of the good way, each a minute after the one before."""
    form = opened() if form is None else form
    moment = now or form.open_time
    for number, (role, command) in enumerate(STEPS[:steps], start=1):
        form = rules.act(form, command, person(role), when(moment + timedelta(minutes=number)))
    return form


def complaint(**fields: Any) -> pb.Complaint:
    """A complaint of somebody who is not on file."""
    default: dict[str, Any] = {
        "kind": "COMPLAINT_KIND_DELIVERY",
        "channel": "COMPLAINT_CHANNEL_PHONE",
        "description": "交车晚了三个小时，没有人说明原因",
        "customer_wish": "道歉",
        "customer_display_name": "王小明",
        "customer_phone": "138 0013 8000",
    }
    return pb.Complaint(**default | fields)


class ComplaintDesk(CareDesk):
    """Customer care with the people who handle complaints."""

    def as_(self, role: str, *stores: str, staff: str = "") -> str:
        """A token of the person who holds this role, in the store unless said otherwise."""
        places = None if role == QUALITY else frozenset(stores or (STORE,))
        return self._gateway.user_token(staff or NAMES[role], [Assignment(role, places)], timedelta(minutes=30))

    def as_both(self, role: str, other_role: str) -> str:
        """A token of somebody who holds the one role in the store and the other one in another store."""
        held = [Assignment(role, frozenset({STORE})), Assignment(other_role, frozenset({OTHER_STORE}))]
        return self._gateway.user_token("both", held, timedelta(minutes=30))

    async def know_customer(self, delivery: int = 1) -> None:
        """Hear of a delivery and of its customer."""
        told = recorded(delivery)
        await self.deliveries(told)
        contact = customers_pb2.Contact(
            customer_id=told.delivery.customer_id,
            store_id=STORE,
            version=1,
            display_name="李雷",
            phone="+8613912345678",
            phone_verified=True,
        )
        contacts = ContactProjection(self.context.vault, Sales(self.context.peer("sales")))
        async with self.database.transaction(Scope.system("test")) as session:
            await contacts.keep(session, [contact])

    async def erase_customer(self, delivery: int = 1) -> None:
        """Hear that the customer of this delivery is erased."""
        erased = sales_events.CustomerErased(
            customer_id=recorded(delivery).delivery.customer_id, store_id=STORE, version=2
        )
        await self.told_of("contacts", erased)

    async def open_one(self, role: str = SPECIALIST, **fields: Any) -> pb.Complaint:
        """Open a complaint by hand."""
        request = pb.CreateComplaintRequest(parent=f"stores/{STORE}", complaint=complaint(**fields))
        return await self.call("ComplaintService/CreateComplaint", request, pb.Complaint, token=self.as_(role))

    async def do(
        self, verb: str, name: str, role: str, *, staff: str = "", token: str = "", **fields: Any
    ) -> pb.Complaint:
        """Do something with a complaint, such as `SetComplaintOpinion`; what is not said has a sensible value."""
        request = REQUESTS[verb](name=name, **DEFAULTS.get(verb, {}) | fields)
        token = token or self.as_(role, staff=staff)
        return await self.call(f"ComplaintService/{verb}", request, pb.Complaint, token=token)

    async def walk(self, name: str, steps: int = 8) -> pb.Complaint:
        """So many steps of the good way."""
        last = pb.Complaint()
        for verb, role in WAY[:steps]:
            last = await self.do(verb, name, role)
        return last

    async def look(self, name: str, role: str = GM) -> pb.Complaint:
        """Read one complaint."""
        request = pb.GetComplaintRequest(name=name)
        return await self.call("ComplaintService/GetComplaint", request, pb.Complaint, token=self.as_(role))

    async def list_of(self, **fields: Any) -> pb.ListComplaintsResponse:
        """Read a page of the store's complaints."""
        request = pb.ListComplaintsRequest(**{"parent": f"stores/{STORE}"} | fields)
        method = "ComplaintService/ListComplaints"
        return await self.call(method, request, pb.ListComplaintsResponse, token=self.as_(GM))

    async def fire_until(self, end: datetime) -> int:
        """Let time pass, firing every timer of a complaint's clock when it is due; returns how many fired."""
        fired = 0
        worker = TimerWorker(self.database, self.clock, self.service.timers)
        while (due := await worker.next_due()) is not None and due <= end:
            self.clock.set(max(due, self.clock.now()))
            fired += await worker.fire_due()
        self.clock.set(end)
        return fired


@asynccontextmanager
async def complaint_desk(
    database_urls: Cloner, keys: Path, start: datetime = NOW, **settings: Any
) -> AsyncIterator[ComplaintDesk]:
    """A desk that serves, on a database of its own."""
    urls = database_urls("customer_care")
    desk = ComplaintDesk("customer_care", urls, keys, start)
    desk.urls = urls
    desk.settings = desk.settings.model_copy(update=settings)
    await desk.open()
    try:
        yield desk
    finally:
        await desk.stop()


REQUESTS: dict[str, type[Message]] = {
    "SetComplaintOpinion": pb.SetComplaintOpinionRequest,
    "ReviewComplaint": pb.ReviewComplaintRequest,
    "DispatchComplaint": pb.DispatchComplaintRequest,
    "RecordComplaintContact": pb.RecordComplaintContactRequest,
    "ReturnComplaint": pb.ReturnComplaintRequest,
    "CallBackComplaint": pb.CallBackComplaintRequest,
    "SignComplaint": pb.SignComplaintRequest,
    "ArchiveComplaint": pb.ArchiveComplaintRequest,
    "ExtendComplaint": pb.ExtendComplaintRequest,
    "PauseComplaint": pb.PauseComplaintRequest,
    "ResumeComplaint": pb.ResumeComplaintRequest,
    "ReopenComplaint": pb.ReopenComplaintRequest,
}
DEFAULTS: dict[str, dict[str, Any]] = {
    "SetComplaintOpinion": {
        "opinion": "是我们的错",
        "severity": "COMPLAINT_SEVERITY_MEDIUM",
        "department": "DEPARTMENT_SALES",
    },
    "ReviewComplaint": {"accepted": True},
    "DispatchComplaint": {"responsible": f"stores/{STORE}/staff/li-lei"},
    "RecordComplaintContact": {"channel": "COMPLAINT_CHANNEL_PHONE", "note": "打过电话了"},
    "ReturnComplaint": {"cause": "车晚到了", "action": "道歉", "promised_date": "2026-12-31"},
    "CallBackComplaint": {"satisfied": True, "note": "满意"},
    "ArchiveComplaint": {"lesson": "提前一天安排交车"},
    "PauseComplaint": {"reason": "等配件"},
    "ReopenComplaint": {"reason": "客户又来电"},
    "ExtendComplaint": {"reason": "配件周五到"},
}
WAY = (
    ("SetComplaintOpinion", CARE),
    ("ReviewComplaint", GM),
    ("DispatchComplaint", SALES),
    ("RecordComplaintContact", SALES),
    ("ReturnComplaint", SALES),
    ("CallBackComplaint", CARE),
    ("SignComplaint", GM),
    ("ArchiveComplaint", SPECIALIST),
)
"""The good way, by call and role."""


def id_of(one: pb.Complaint) -> UUID:
    """The id in its name."""
    return UUID(one.name.rpartition("/")[2])


def verbs_of(one: pb.Complaint) -> list[str]:
    """What may be done next, without the prefix."""
    return [pb.ComplaintVerb.Name(verb).removeprefix("COMPLAINT_VERB_") for verb in one.allowed_verbs]


def clock_of(one: pb.Complaint, kind: str, number: int | None = None) -> pb.ComplaintClock:
    """The last clock of this kind, or that of a round."""
    wanted = pb.ComplaintClockKind.Value(f"COMPLAINT_CLOCK_KIND_{kind}")
    return [it for it in one.clocks if it.kind == wanted and number in {None, it.round}][-1]
