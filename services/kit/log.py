"""Structured logs: one JSON line per outcome, with the trace it belongs to and without personal data."""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import orjson
import structlog
from opentelemetry import trace

log: structlog.stdlib.BoundLogger = structlog.get_logger()

# PostgreSQL and asyncpg repeat values in some messages, and values may be personal data.
_VALUES = re.compile(
    r"(DETAIL:|Failing row contains|invalid input for query argument \$\d+:|invalid input syntax for [^:]*:).*$",
    re.MULTILINE,
)
_NOISY = ("nats", "uvicorn", "uvicorn.error", "grpc", "alembic", "asyncio", "sqlalchemy")
Event = MutableMapping[str, Any]


def configure(service: str, level: str = "info") -> None:
    """Write JSON lines to standard output, for our own events and for the libraries' messages."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_service(service),
        _add_trace,
        structlog.processors.format_exc_info,
        _hide_row_values,
    ]
    threshold = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer(serializer=_to_json)],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=lambda *_: _StandardOutput(),
        cache_logger_on_first_use=True,
    )
    handler = _LibraryMessages()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(serializer=_to_json),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(threshold)
    for name in _NOISY:
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
        library.setLevel(max(threshold, logging.WARNING))


class _StandardOutput:
    """Writes where standard output is now: loggers are kept for ever, and tests exchange it."""

    def msg(self, line: str) -> None:
        """Write one line; the other names are how structlog calls it by level."""
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    log = debug = info = warning = error = critical = exception = msg


class _LibraryMessages(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        """Write a library's message beside our own events."""
        try:
            _StandardOutput().msg(self.format(record))
        except Exception:
            # As every handler of the standard library: a message that cannot be written ends nothing.
            self.handleError(record)


def _add_service(service: str) -> structlog.typing.Processor:
    def processor(_logger: Any, _method: str, entry: Event) -> Event:
        entry["service"] = service
        return entry

    return processor


def _add_trace(_logger: Any, _method: str, entry: Event) -> Event:
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        entry["trace_id"] = f"{context.trace_id:032x}"
    return entry


def _hide_row_values(_logger: Any, _method: str, entry: Event) -> Event:
    exception = entry.get("exception")
    if isinstance(exception, str):
        entry["exception"] = _VALUES.sub(r"\1 (hidden)", exception)
    return entry


def _to_json(entry: object, default: Any = str, **_: Any) -> str:
    return orjson.dumps(entry, default=default).decode()
