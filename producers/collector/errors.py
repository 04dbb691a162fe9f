"""Why a request, or one of its items, was not taken.

    RequestError    the whole request: answered with its status, and nothing of it was sent to Kafka
    Refusal         one item of a request whose other items may have been taken (a value, not an exception)

The reaction to either is the client's: correct what `field` names, or send the same again after `retry_after_s`.
"""

from dataclasses import asdict, dataclass
from typing import Any, Final

from keeprate.schemas.decode import ContractError

FORBIDDEN: Final = 403
TOO_LARGE: Final = 413
UNPROCESSABLE: Final = 422
UNAVAILABLE: Final = 503

# A client's own text may be part of a reason, and of a field's path.
_MAX_REASON: Final = 1_000
_MAX_FIELD: Final = 200

# An item is judged by its content, so all that is not about its size or its owner is "unprocessable".
_ITEM_STATUS: Final = {"too_large": TOO_LARGE, "forbidden": FORBIDDEN, "not_json": 400, "not_utf8": 400}


class RequestError(Exception):
    """The request as a whole is refused.

    status: the HTTP status. error_type: from a closed set, fit for a metric's label.
    field: what is at fault, empty when the whole is.
    retry_after_s: set when the same request may succeed later.
    close: the rest of the body is not worth reading, so the connection ends with the answer.
    """

    def __init__(
        self, status: int, error_type: str, reason: str, *, field: str = "", retry_after_s: int = 0, close: bool = False
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.error_type = error_type
        self.reason = reason
        self.field = field
        self.retry_after_s = retry_after_s
        self.close = close


@dataclass(frozen=True, slots=True)
class Refusal:
    """One item that was not taken. `index` counts from 0 in the order of the request."""

    index: int
    status: int
    error_type: str
    field: str
    reason: str

    def as_json(self) -> dict[str, Any]:
        """The item's entry in the answer."""
        return asdict(self)


def refusal(index: int, error: ContractError) -> Refusal:
    """What a contract error says about the item at an index."""
    return item_refusal(index, error.error_type, error.reason, error.field)


def item_refusal(index: int, error_type: str, reason: str, field: str = "") -> Refusal:
    """A refusal whose status follows from its type."""
    status = _ITEM_STATUS.get(error_type, UNPROCESSABLE)
    return Refusal(index, status, error_type, field[:_MAX_FIELD], reason[:_MAX_REASON])
