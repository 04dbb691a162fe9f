"""Files of OTLP in JSON, as the OpenTelemetry Collector's file exporter writes them: a request on each line.

The same mapping as the collector's, so a file that is imported and the same spans that were sent give the same events.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from keeprate.producers.collector.errors import RequestError
from keeprate.producers.collector.otel import logs, otlp_json, spans
from keeprate.producers.collector.otel.identity import Aliases
from keeprate.producers.collector.otel.spans import Mapped, RequestSource
from keeprate.producers.imports.langfuse import Outcome
from keeprate.producers.imports.rows import Found
from keeprate.schemas.decode import ContractError, decode


def outcomes(
    documents: Callable[[], Iterable[Found]], app: str, salt: bytes, now_ms: int | None = None
) -> Iterator[Outcome]:
    """What becomes of each span and log record. `documents` is called twice: feedback may stand before its span.

    app: of all events; empty takes each service's name. now_ms: the latest that an event may be dated is a day after.
    """
    # Nothing is forgotten here: a file is finite, and the trace of its first line may be judged on its last.
    source = RequestSource(app or None, 0, Aliases(capacity=1 << 62), salt)
    for found in documents():
        # What cannot be mapped is refused below, where it cannot be mapped again.
        with contextlib.suppress(Exception):
            _map(found.value, source)
    for found in documents():
        if found.error is not None:
            yield Outcome(found.place, error=found.error)
            continue
        try:
            mapped = _map(found.value, source)
        except RequestError as error:
            yield Outcome(found.place, error=ContractError("invalid", f"not OTLP: {error}"))
        except Exception as error:  # noqa: BLE001  a document of a shape that nobody thought of ends no import
            yield Outcome(found.place, error=ContractError("invalid", f"{type(error).__name__}: {error}"))
        else:
            for what, each in zip(_PARTS, mapped, strict=True):
                yield from _told(found.place, what, each, now_ms)


def _told(place: str, what: str, mapped: Mapped, now_ms: int | None) -> Iterator[Outcome]:
    for record in mapped.records:
        try:
            yield Outcome(place, event=decode(record.value, now_ms))
        except ContractError as error:
            yield Outcome(place, error=error)
    for refusal in mapped.refusals:
        at = f"{place}, {what} {refusal.index + 1}"
        yield Outcome(at, error=ContractError("invalid", refusal.reason, refusal.field))
    for reason, count in mapped.ignored.items():
        yield from (Outcome(place, ignored=reason) for _ in range(count))


_PARTS: Final = ("span", "span event", "log record")


def _map(document: Any, source: RequestSource) -> list[Mapped]:
    if not isinstance(document, dict):
        raise RequestError(400, "invalid", "a document is a JSON object: an OTLP request")
    found = list(otlp_json.json_spans(document))
    records = list(otlp_json.json_logs(document))
    return [spans.map_spans(found, source), logs.map_span_events(found, source), logs.map_logs(records, source)]
