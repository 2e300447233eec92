"""Traces and metrics: who called whom, how long it took, how far behind the queues are."""

import traceback
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from functools import cache

from opentelemetry import context as current
from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from prometheus_client import Counter, Gauge, Histogram

from kit.settings import KitSettings

TRACE_HEADERS = frozenset({"traceparent", "tracestate"})
"""The names that `inject` writes and `extract` reads."""
_LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


def configure(service: str, settings: KitSettings) -> None:
    """Start tracing: the caller's decision to sample counts, else `trace_sample` decides.

    Spans leave the process only when `otlp_endpoint` is set; trace ids are made and carried on in any case. Only
    the first call in a process takes effect, as in OpenTelemetry itself.
    """
    propagate.set_global_textmap(TraceContextTextMapPropagator())
    if isinstance(trace.get_tracer_provider(), TracerProvider):
        return
    provider = TracerProvider(
        sampler=ParentBased(TraceIdRatioBased(settings.trace_sample)),
        resource=Resource.create({"service.name": service, "service.namespace": "dealerloop"}),
    )
    if settings.otlp_endpoint:
        # Imported only when used: the exporter is a good part of a small service's memory.
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        insecure = not settings.otlp_endpoint.startswith("https://")
        provider.add_span_processor(
            BatchSpanProcessor(OTLPSpanExporter(endpoint=settings.otlp_endpoint, insecure=insecure))
        )
    trace.set_tracer_provider(provider)


def shutdown() -> None:
    """Send what is still buffered."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, TracerProvider):
        provider.force_flush(2000)


@cache
def tracer() -> trace.Tracer:
    """Return the tracer of the product."""
    return trace.get_tracer("dealerloop")


@contextmanager
def span(name: str, kind: trace.SpanKind, parent: Context | None = None) -> Iterator[trace.Span]:
    """A span of the caller's trace, or of the current one; errors are the block's own to note.

    In a trace that is not sampled no span is made: the trace is carried on as it came, and costs next to nothing.
    """
    above = trace.get_current_span(parent)
    context = above.get_span_context()
    if not context.is_valid or context.trace_flags.sampled:
        with tracer().start_as_current_span(
            name, parent, kind, record_exception=False, set_status_on_exception=False
        ) as made:
            yield made
    elif parent is None:
        yield above
    else:
        token = current.attach(parent)
        try:
            yield above
        finally:
            current.detach(token)


def inject(headers: MutableMapping[str, str] | None = None) -> dict[str, str]:
    """Return the headers with the W3C trace context of the current span (a new dict when none are given)."""
    carrier: dict[str, str] = {} if headers is None else dict(headers)
    propagate.inject(carrier)
    return carrier


def extract(headers: Mapping[str, str]) -> Context:
    """Return the trace context that the sender put into the headers; the empty one when there is none."""
    return propagate.extract(headers)


def trace_id() -> str:
    """Return the current trace's id in hex, or '' outside every trace."""
    context = trace.get_current_span().get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else ""


def keep_failure(name: str, failure: BaseException, *, tracer: trace.Tracer | None = None) -> None:
    """Export a failure although its trace was not sampled: one span of its own in the same trace.

    Does nothing when the current span is recorded anyway, or outside a trace. Sampling everything just to keep the
    errors would double what tracing costs.
    """
    inside_of = trace.get_current_span()
    context = inside_of.get_span_context()
    if inside_of.is_recording() or not context.is_valid:
        return
    parent = trace.SpanContext(
        context.trace_id, context.span_id, context.is_remote, trace.TraceFlags(trace.TraceFlags.SAMPLED)
    )
    inside = trace.set_span_in_context(trace.NonRecordingSpan(parent))
    span = (tracer or trace.get_tracer("dealerloop")).start_span(name, inside)
    note_failure(span, failure)
    span.end()


def note_failure(span: trace.Span, failure: BaseException) -> None:
    """Marks a span as failed with the kind of the error and where it was raised.

    Never with its text: drivers and libraries repeat values in there, and values may be personal data.
    """
    if not span.is_recording():
        return
    kind = type(failure).__name__
    place = "".join(traceback.format_tb(failure.__traceback__))
    span.add_event("exception", {"exception.type": kind, "exception.stacktrace": place})
    span.set_status(trace.StatusCode.ERROR, kind)


@contextmanager
def work_span(
    name: str,
    kind: trace.SpanKind = trace.SpanKind.INTERNAL,
    *,
    parent: Context | None = None,
    links: Sequence[trace.Link] = (),
    attributes: Mapping[str, str | int] | None = None,
) -> Iterator[None]:
    """A span around work that nobody waits for, such as a batch of events; a failure is noted in it and goes on."""
    with tracer().start_as_current_span(
        name,
        parent,
        kind,
        links=links,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as made:
        try:
            yield
        except Exception as failure:
            note_failure(made, failure)
            raise


@cache
def counter(name: str, meaning: str, labels: Sequence[str] = ()) -> Counter:
    """Return the counter of that name; labels (a tuple) take few different values, never ids."""
    return Counter(name, meaning, labels)


@cache
def gauge(name: str, meaning: str, labels: Sequence[str] = ()) -> Gauge:
    """Return the gauge of that name; labels (a tuple) take few different values, never ids."""
    return Gauge(name, meaning, labels)


@cache
def histogram(name: str, meaning: str, labels: Sequence[str] = ()) -> Histogram:
    """Return the histogram of that name, in seconds from 1 ms to 10 s."""
    return Histogram(name, meaning, labels, buckets=_LATENCY_BUCKETS)
