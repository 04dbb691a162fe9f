"""What of an app's content leaves the process: all of it, fingerprints, or nothing; and never a user's name.

Content is what the model read and wrote and what became of it: input, output, prompt variables, context sources,
corrections, current texts; and texts where an app puts what it likes: in parameters, and in attributes that the app did
not say to keep. Comments, explanations and error messages are feedback, not content: they are always sent.
The redaction hook sees every one of these texts, whatever the mode, before anything else does.

Lengths and distances are numbers, not content: the handle computes them from the texts as they are, in every mode.
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from pydantic_core import to_json

from keeprate.producers.errors import SettingsError
from keeprate.schemas.decode import ContractError

ContentMode = Literal["full", "hashed", "off"]

_MESSAGES: Final = ("input", "output")
_TEXTS: Final = ("prompt_variables", "context_sources", "corrected_text", "current_text")
_FREE: Final = ("parameters", "attributes")
_FEEDBACK: Final = ("comment", "explanation", "error_message")
_DIGEST_CHARS: Final = 32


class RedactionError(Exception):
    """The app's redaction hook raised: the event is withheld and counted, never sent as it was."""


@dataclass(frozen=True)
class ContentPolicy:
    """How content is treated.

    salt: makes fingerprints and user hashes useless to whoever does not know it. Share it among the app's processes.
    redact: takes a text and gives what may be sent instead. keep_attributes: the names of attributes that are no
    content, such as a plan or a region, and leave in every mode.
    """

    mode: ContentMode
    salt: bytes
    redact: Callable[[str], str] | None = None
    keep_attributes: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if self.mode not in get_args(ContentMode):
            raise SettingsError("content", f"expected one of {', '.join(get_args(ContentMode))}, got {self.mode!r}")

    @property
    def sends_all(self) -> bool:
        """Whether events leave as they are."""
        return self.mode == "full" and self.redact is None

    def user_hash(self, user: str) -> str:
        """The same pseudonym for the same user and salt."""
        return self.fingerprint(f"user:{user}")

    def fingerprint(self, value: str) -> str:
        """A keyed digest: equal values have equal ones."""
        digest = hmac.new(self.salt, value.encode("utf-8", "surrogatepass"), hashlib.sha256)
        return digest.hexdigest()[:_DIGEST_CHARS]

    def apply(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """The event as it may leave. Raises RedactionError, and ContractError where nothing would be left to count."""
        kept = dict(event)
        if kept.get("output") is not None:
            kept.setdefault("choice_count", len(kept["output"]) or None)
        for name in (*_MESSAGES, *_TEXTS, *_FREE, *_FEEDBACK):
            if (value := kept.get(name)) is None:
                continue
            value = self._redacted(value)
            if name not in _FEEDBACK:
                value = self._reduced(name, value)
            kept[name] = value
        if kept["type"] == "generation":
            kept["content_mode"] = self.mode
        if kept["type"] == "edit" and kept.get("corrected_text") is None and kept.get("distance") is None:
            raise ContractError("invalid", "with content='off' an edit needs the distance and both lengths", "distance")
        return {name: value for name, value in kept.items() if value is not None}

    def _redacted(self, value: Any) -> Any:
        if self.redact is None:
            return value
        try:
            return _map_texts(value, self._redact_one)
        except Exception as error:
            raise RedactionError from error

    def _redact_one(self, text: str) -> str:
        assert self.redact is not None
        redacted = self.redact(text)
        if not isinstance(redacted, str):
            raise TypeError(f"redact gives a text, not a {type(redacted).__name__}")
        return redacted

    def _reduced(self, name: str, value: Any) -> Any:
        if self.mode == "full":
            return value
        if name in _FREE:
            return self._reduced_free(name, value)
        if self.mode == "off":
            return None
        if name in _MESSAGES:
            return [{"role": message["role"], "content": self._digest(message)} for message in value]
        return _map_texts(value, self.fingerprint) if isinstance(value, list | dict) else self.fingerprint(value)

    def _reduced_free(self, name: str, value: Mapping[str, Any]) -> dict[str, Any] | None:
        """Parameters and attributes with fingerprints in the place of content, or without it."""
        if name == "parameters":
            kept = plain_parameters(value)
        else:
            kept = {key: each for key, each in value.items() if key in self.keep_attributes}
        if self.mode == "off":
            return kept or None
        # The names within a structure may be an app's own too, so a structure is one fingerprint.
        return {key: kept[key] if key in kept else self._free_digest(each) for key, each in value.items()}

    def _free_digest(self, value: Any) -> str:
        return self.fingerprint(value if isinstance(value, str) else to_json(value, inf_nan_mode="null").decode())

    def _digest(self, message: Mapping[str, Any]) -> str:
        content = {name: value for name, value in message.items() if name not in ("role", "name") and value is not None}
        text = content.get("content") if content.keys() == {"content"} else None
        return self.fingerprint(text if isinstance(text, str) else to_json(content).decode())


def plain_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that are no text: numbers and switches, such as temperature, max_tokens and seed."""
    return {name: value for name, value in parameters.items() if isinstance(value, int | float)}


def _map_texts(value: Any, change: Callable[[str], str]) -> Any:
    """The value with every text in it changed; keys, roles and numbers stay."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_map_texts(each, change) for each in value]
    if isinstance(value, dict):
        return {name: each if name == "role" else _map_texts(each, change) for name, each in value.items()}
    return value
