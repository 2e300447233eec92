"""What somebody does with a complaint, one class for each verb; `note` and `changes` are what its history keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from types import MappingProxyType
from typing import ClassVar, Final, TypeAlias

from customer_care.complaints.values import Channel, Department, Level, Severity, Verb

_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class SetOpinion:
    """The care manager's opinion (CMP-2); `level` None leaves it as it is."""

    verb: ClassVar[Verb] = Verb.SET_OPINION
    opinion: str
    severity: Severity
    department: Department
    level: Level | None = None

    @property
    def note(self) -> str:
        """The opinion."""
        return self.opinion

    @property
    def changes(self) -> Mapping[str, str]:
        """What was decided."""
        told = {"severity": f"COMPLAINT_SEVERITY_{self.severity}", "department": f"DEPARTMENT_{self.department}"}
        return told if self.level is None else {**told, "level": f"COMPLAINT_LEVEL_{self.level}"}


@dataclass(frozen=True, slots=True)
class Review:
    """The GM's word on the opinion (CMP-3); `checker_id` is the person who calls back in place of customer care."""

    verb: ClassVar[Verb] = Verb.REVIEW
    accepted: bool
    comment: str = ""
    checker_id: str = ""

    @property
    def note(self) -> str:
        """The comment."""
        return self.comment

    @property
    def changes(self) -> Mapping[str, str]:
        """Whether it was accepted, and who calls back."""
        told = {"accepted": str(self.accepted).lower()}
        return {**told, "checker": self.checker_id} if self.checker_id else told


@dataclass(frozen=True, slots=True)
class Dispatch:
    """To the responsible person (CMP-4)."""

    verb: ClassVar[Verb] = Verb.DISPATCH
    responsible_id: str
    note: str = ""

    @property
    def changes(self) -> Mapping[str, str]:
        """Who is responsible."""
        return {"responsible": self.responsible_id}


@dataclass(frozen=True, slots=True)
class RecordContact:
    """A conversation with the customer; `at` None means now (CMP-4)."""

    verb: ClassVar[Verb] = Verb.RECORD_CONTACT
    channel: Channel
    note: str
    at: datetime | None = None

    @property
    def changes(self) -> Mapping[str, str]:
        """How and, when it was told later, at what time."""
        told = {"channel": f"COMPLAINT_CHANNEL_{self.channel}"}
        return told if self.at is None else {**told, "contact_time": self.at.isoformat()}


@dataclass(frozen=True, slots=True)
class Return:
    """The department's answer (CMP-5)."""

    verb: ClassVar[Verb] = Verb.RETURN
    cause: str
    action: str
    promised_date: date

    @property
    def note(self) -> str:
        """Cause and action."""
        return f"{self.cause}\n\n{self.action}"

    @property
    def changes(self) -> Mapping[str, str]:
        """What was promised."""
        return {"promised_date": self.promised_date.isoformat()}


@dataclass(frozen=True, slots=True)
class CallBack:
    """Whether the customer is satisfied (CMP-6)."""

    verb: ClassVar[Verb] = Verb.CALL_BACK
    satisfied: bool
    note: str

    @property
    def changes(self) -> Mapping[str, str]:
        """The customer's verdict."""
        return {"satisfied": str(self.satisfied).lower()}


@dataclass(frozen=True, slots=True)
class Sign:
    """The GM's signature (CMP-7)."""

    verb: ClassVar[Verb] = Verb.SIGN
    note: str = ""
    changes: ClassVar[Mapping[str, str]] = _NOTHING


@dataclass(frozen=True, slots=True)
class Archive:
    """Into the archive, with what was learnt (CMP-8)."""

    verb: ClassVar[Verb] = Verb.ARCHIVE
    note: str
    changes: ClassVar[Mapping[str, str]] = _NOTHING


@dataclass(frozen=True, slots=True)
class Extend:
    """More time (CMP-10)."""

    verb: ClassVar[Verb] = Verb.EXTEND
    note: str
    until: datetime

    @property
    def changes(self) -> Mapping[str, str]:
        """Until when."""
        return {"due_time": self.until.isoformat()}


@dataclass(frozen=True, slots=True)
class Pause:
    """The clocks stand still while something is waited for (CMP-11)."""

    verb: ClassVar[Verb] = Verb.PAUSE
    note: str
    changes: ClassVar[Mapping[str, str]] = _NOTHING


@dataclass(frozen=True, slots=True)
class Resume:
    """The clocks run again (CMP-11)."""

    verb: ClassVar[Verb] = Verb.RESUME
    note: str = ""
    changes: ClassVar[Mapping[str, str]] = _NOTHING


@dataclass(frozen=True, slots=True)
class Reopen:
    """A closed complaint is opened again (CMP-12)."""

    verb: ClassVar[Verb] = Verb.REOPEN
    note: str
    changes: ClassVar[Mapping[str, str]] = _NOTHING


Command: TypeAlias = (
    SetOpinion
    | Review
    | Dispatch
    | RecordContact
    | Return
    | CallBack
    | Sign
    | Archive
    | Extend
    | Pause
    | Resume
    | Reopen
)


def named_in(command: Command) -> Mapping[str, str]:
    """Return the people whom it names, by the field of the request: their ids."""
    match command:
        case Review() if command.checker_id:
            return {"checker": command.checker_id}
        case Dispatch():
            return {"responsible": command.responsible_id}
        case _:
            return _NOTHING
