"""Answers: to a batch of events, and as OTLP/HTTP specifies them."""

from collections.abc import Sequence
from typing import Final, Literal

from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from pydantic_core import to_json
from starlette.responses import Response

from keeprate.producers.collector.errors import UNPROCESSABLE, Refusal, RequestError
from keeprate.producers.collector.otel.signals import JSON, PROTOBUF

Signal = Literal["traces", "logs", "metrics"]

_MAX_LISTED: Final = 1_000
"""A batch of ten thousand faults is one fault in the client: the first thousand say so."""

# gRPC's codes, which OTLP/HTTP uses in the body of an error beside HTTP's own.
_GRPC: Final = {400: 3, 401: 16, 403: 7, 408: 4, 413: 3, 415: 3, 429: 8, 503: 14}
_INTERNAL: Final = 13


def batch_answer(accepted: int, refusals: Sequence[Refusal]) -> Response:
    """202 when all was accepted, 207 when some was, and else the status that the refusals share, or 422.

    The body lists refused items only: an index that is not in it was acknowledged by Kafka.
    """
    statuses = {refusal.status for refusal in refusals}
    if not refusals:
        status = 202
    elif accepted:
        status = 207
    else:
        status = statuses.pop() if len(statuses) == 1 else UNPROCESSABLE
    listed = [refusal.as_json() for refusal in refusals[:_MAX_LISTED]]
    content = {"accepted": accepted, "refused": len(refusals), "errors": listed}
    return Response(to_json(content), status, media_type="application/json")


def error_answer(error: RequestError) -> Response:
    """The answer to a request that was refused as a whole."""
    content = {"error_type": error.error_type, "field": error.field, "reason": error.reason}
    return Response(to_json(content), error.status, _headers(error), media_type="application/json")


def otlp_answer(signal: Signal, refusals: Sequence[Refusal], is_json: bool) -> Response:
    """OTLP's success, partial where spans or log records were refused: those are not to be sent again."""
    reason = "; ".join(f"{refusal.index}: {refusal.field}: {refusal.reason}" for refusal in refusals[:3])
    answer: Message
    match signal:
        case "traces":
            traces = ExportTraceServiceResponse()
            if refusals:
                traces.partial_success.rejected_spans = len(refusals)
                traces.partial_success.error_message = reason
            answer = traces
        case "logs":
            logs = ExportLogsServiceResponse()
            if refusals:
                logs.partial_success.rejected_log_records = len(refusals)
                logs.partial_success.error_message = reason
            answer = logs
        case "metrics":
            answer = ExportMetricsServiceResponse()
    return Response(_encoded(answer, is_json), 200, media_type=JSON if is_json else PROTOBUF)


def otlp_error(error: RequestError, is_json: bool) -> Response:
    """OTLP's failure: a google.rpc.Status. An exporter repeats 429 and 503 by itself, and gives up on the others."""
    status = Status(code=_GRPC.get(error.status, _INTERNAL), message=error.reason)
    return Response(_encoded(status, is_json), error.status, _headers(error), JSON if is_json else PROTOBUF)


def _encoded(message: Message, is_json: bool) -> bytes:
    return MessageToJson(message, indent=None).encode() if is_json else message.SerializeToString()


def _headers(error: RequestError) -> dict[str, str]:
    headers = {}
    if error.retry_after_s:
        headers["Retry-After"] = str(error.retry_after_s)
    if error.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="keeprate"'
    if error.close:
        headers["Connection"] = "close"
    return headers
