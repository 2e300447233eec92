"""The streams: one per owning service, and one for dead letters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig, StreamInfo
from nats.js.client import JetStreamContext
from nats.js.errors import BadRequestError, NotFoundError

from kit.log import log

DAY: Final = 86_400.0
KEPT_SECONDS: Final = 30 * DAY
DUPLICATE_WINDOW_SECONDS: Final = 3_600.0
DLQ: Final = "DLQ"
MAX_DELIVERIES: Final = "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES"
_NAME_IN_USE: Final = 10058


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """A stream that a service owns: its name and the service, which stands first in the subjects.

    `gather_seconds` lets the relay wait for more events after the first one: fewer transactions where nobody waits.
    """

    name: str
    service: str
    gather_seconds: float = 0.0

    @property
    def subjects(self) -> list[str]:
        """What the stream takes."""
        return [f"{self.service}.v1.>"]


def _owned(spec: StreamSpec, replicas: int) -> StreamConfig:
    return StreamConfig(
        name=spec.name,
        subjects=spec.subjects,
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        discard=DiscardPolicy.OLD,
        num_replicas=replicas,
        max_age=KEPT_SECONDS,
        duplicate_window=DUPLICATE_WINDOW_SECONDS,
        # Nobody takes single events out; the owner's outbox and the stream tell the same story.
        deny_delete=True,
        allow_direct=True,
        # With fsync on every write one by one would be twenty times slower.
        allow_atomic=True,
    )


def _dead_letters(replicas: int) -> StreamConfig:
    return StreamConfig(
        name=DLQ,
        # A message that a consumer was given too often is announced by the server only here; so it cannot vanish.
        subjects=["dlq.>", f"{MAX_DELIVERIES}.>"],
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        discard=DiscardPolicy.OLD,
        num_replicas=replicas,
        # Kept until a person retries or drops them.
        max_age=0,
        duplicate_window=DUPLICATE_WINDOW_SECONDS,
        allow_direct=True,
    )


async def ensure_stream(jetstream: JetStreamContext, spec: StreamSpec, replicas: int = 1) -> StreamInfo:
    """Makes the stream, or brings its settings up to date; returns what the server says of it now."""
    return await _ensure(jetstream, _owned(spec, replicas))


async def ensure_dlq(jetstream: JetStreamContext, replicas: int = 1) -> StreamInfo:
    """Makes the stream of dead letters, or brings its settings up to date."""
    return await _ensure(jetstream, _dead_letters(replicas))


async def _ensure(jetstream: JetStreamContext, wanted: StreamConfig) -> StreamInfo:
    assert wanted.name is not None
    try:
        info = await jetstream.stream_info(wanted.name)
    except NotFoundError:
        try:
            info = await jetstream.add_stream(wanted)
        except BadRequestError as error:
            if error.err_code != _NAME_IN_USE:
                raise
            # Somebody was faster, with other settings.
            info = await jetstream.update_stream(wanted)
        else:
            log.info("stream.created", stream=wanted.name)
        # Unlike add_stream's answer this one is the same for everybody who asks.
        return await jetstream.stream_info(wanted.name)
    if _differs(info.config, wanted):
        await jetstream.update_stream(wanted)
        log.info("stream.updated", stream=wanted.name)
        info = await jetstream.stream_info(wanted.name)
    return info


_COMPARED: Final = (
    "subjects",
    "retention",
    "discard",
    "num_replicas",
    "max_age",
    "duplicate_window",
    "deny_delete",
    "allow_direct",
    "allow_atomic",
)


def _differs(has: StreamConfig, wanted: StreamConfig) -> bool:
    return any(_plain(getattr(has, name)) != _plain(getattr(wanted, name)) for name in _COMPARED)


def _plain(value: Any) -> Any:
    # The server leaves out what is off.
    return value or None
