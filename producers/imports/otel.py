"""Files of OTLP in JSON, as the OpenTelemetry Collector's file exporter writes them: a request on each line.

The same mapping as the collector's, so a file that is imported and the same spans that were sent give the same events.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from keeprate.producers.collector import logs, otlp_json, spans
from keeprate.producers.collector.errors import RequestError
from keeprate.producers.collector.identity import Aliases
from keeprate.producers.collector.spans import Mapped, Source
from keeprate.producers.imports.langfuse import Outcome
from keeprate.producers.imports.rows import FormatError
from keeprate.schemas import decode


def outcomes(documents: Callable[[], Iterable[Any]], app: str, salt: bytes) -> Iterator[Outcome]:
    """What becomes of each span and log record. `documents` is called twice: feedback may stand before its span.

    app: of all events; empty takes each service's name. Raises FormatError for what is not OTLP.
    """
    # Nothing is forgotten here: a file is finite, and the trace of its first line may be judged on its last.
    source = Source(app or None, 0, Aliases(capacity=1 << 62), salt)
    for document in documents():
        _map(document, source)
    for document in documents():
        for mapped in _map(document, source):
            for record in mapped.records:
                yield Outcome(event=decode.decode(record.value))
            for refusal in mapped.refusals:
                yield Outcome(error=decode.ContractError("invalid", refusal.reason, refusal.field))
            for reason, count in mapped.ignored.items():
                yield from (Outcome(ignored=reason) for _ in range(count))


def _map(document: Any, source: Source) -> list[Mapped]:
    if not isinstance(document, dict):
        raise FormatError("a line is a JSON object: an OTLP request")
    try:
        found = list(otlp_json.json_spans(document))
        records = list(otlp_json.json_logs(document))
    except RequestError as error:
        raise FormatError(f"not OTLP: {error}") from None
    return [spans.map_spans(found, source), logs.map_span_events(found, source), logs.map_logs(records, source)]
