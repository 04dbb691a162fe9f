"""Generations and what users do with them, in the words of the domain.

    generation = client.generation(model="…", input="…", output="return a + b")
    generation.shown(dwell_ms=900).accept().vote(+1)

Every method emits one event and returns the handle, so that calls chain. None of them waits for a disk or the network;
those that compare texts (`edit`, `retention_check`) take the time of the comparison. None raises into the app.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self, TypeVar

from keeprate.producers import text as texts
from keeprate.producers.errors import ContractError
from keeprate.producers.sdk.journal import Check
from keeprate.producers.sdk.tracking import HORIZONS_S, Clock, Read


@dataclass
class _Accepted:
    """The last accept of a suggestion: retention is measured from it."""

    sequence: int = 0
    text: str | None = None
    at_monotonic_s: float = 0.0
    at_ms: int = 0


@dataclass(frozen=True)
class Emitter:
    """What a handle needs of its client: where events, faults and checks to come go, and the clocks."""

    emit: Callable[[Mapping[str, Any]], bool]
    refuse: Callable[[Exception], bool]
    track: Callable[[Check, Read, float, Sequence[int]], None]
    clock: Clock


Verb = TypeVar("Verb", bound=Callable[..., Any])


def _harmless(verb: Verb) -> Verb:
    """A verb of the app's: whatever it was given, what cannot be taken is counted as an invalid event, not raised."""

    @functools.wraps(verb)
    def call(self: "Generation", *args: Any, **kwargs: Any) -> "Generation":
        try:
            return verb(self, *args, **kwargs)  # type: ignore[no-any-return]
        except Exception as error:  # noqa: BLE001  the app's flow must not end here
            self.emitter.refuse(error)
            return self

    return call  # type: ignore[return-value]


# Compared by identity, so that an app can keep handles in sets and as keys.
@dataclass(frozen=True, eq=False, repr=False)
class Generation:
    """One suggestion of a generation, made here or elsewhere, and what becomes of it.

    origin: what each event of it repeats: generation_id, and where known app, user, session and trace.
    """

    emitter: Emitter
    origin: Mapping[str, Any]
    outputs: Sequence[str] = ()
    choice_index: int = 0
    _accepted: _Accepted = field(default_factory=_Accepted)

    def __repr__(self) -> str:
        # Content and users stay out of an app's log.
        return f"Generation({self.id!r})"

    @property
    def id(self) -> str:
        """The generation_id, for feedback that is given elsewhere; empty where there is none."""
        identity = self.origin.get("generation_id")
        return identity if isinstance(identity, str) else ""

    @property
    def text(self) -> str | None:
        """The suggestion's text, where this process knows it."""
        index = self.choice_index
        return self.outputs[index] if isinstance(index, int) and 0 <= index < len(self.outputs) else None

    def choice(self, index: int) -> "Generation":
        """The same generation's suggestion at another index."""
        return Generation(self.emitter, self.origin, self.outputs, index)

    @_harmless
    def shown(self, text: str | None = None, *, dwell_ms: int | None = None, **more: Any) -> Self:
        """It was displayed. text: as displayed, the output when None."""
        size = _size(self.text if text is None else text)
        return self._emit("action", action="shown", dwell_ms=dwell_ms, **size, **more)

    @_harmless
    def accept(self, text: str | None = None, *, mode: Literal["user", "auto"] = "user", **more: Any) -> Self:
        """It was taken whole. text: as taken, the output when None. mode `auto`: applied with no accept step."""
        return self._accept("accept", text, accept_mode=mode, **more)

    @_harmless
    def accept_partial(self, text: str, **more: Any) -> Self:
        """A part was taken. text: all that has been taken so far, not what this step adds."""
        return self._accept("accept_partial", text, **more)

    @_harmless
    def insert(self, **more: Any) -> Self:
        """It was inserted where the user works."""
        return self._emit("action", action="insert", **more)

    @_harmless
    def copy(self, **more: Any) -> Self:
        """It was copied."""
        return self._emit("action", action="copy", **more)

    @_harmless
    def apply(self, **more: Any) -> Self:
        """It was applied to the user's document."""
        return self._emit("action", action="apply", **more)

    @_harmless
    def reject(self, **more: Any) -> Self:
        """The user refused it. A later accept wins."""
        return self._emit("action", action="reject", **more)

    @_harmless
    def dismiss(self, **more: Any) -> Self:
        """The user closed it."""
        return self._emit("action", action="dismiss", **more)

    @_harmless
    def ignore(self, **more: Any) -> Self:
        """The user went on without it."""
        return self._emit("action", action="ignore", **more)

    @_harmless
    def undo(self, **more: Any) -> Self:
        """The user took the accept back."""
        return self._emit("action", action="undo", **more)

    @_harmless
    def action(self, name: str, **fields: Any) -> Self:
        """Any action: one that the contract names, or an app's own beginning with x_."""
        return self._emit("action", action=name, **fields)

    @_harmless
    def vote(self, value: Literal[-1, 0, 1], *, comment: str | None = None, **more: Any) -> Self:
        """Thumbs up, thumbs down, or 0 to withdraw. The user's latest vote counts, once."""
        return self._emit("vote", value=value, comment=comment, **more)

    @_harmless
    def score(self, value: float, low: float, high: float, *, comment: str | None = None, **more: Any) -> Self:
        """A verdict on a scale from low to high."""
        return self._emit("vote", score=value, scale_min=low, scale_max=high, comment=comment, **more)

    @_harmless
    def flag(
        self,
        label: str,
        *,
        severity: Literal["low", "medium", "high"] | None = None,
        valence: Literal["positive", "negative", "neutral"] | None = None,
        comment: str | None = None,
        **more: Any,
    ) -> Self:
        """The user marks an issue. Without a valence it counts as negative."""
        return self._emit(
            "flag", label=label, status="set", severity=severity, valence=valence, comment=comment, **more
        )

    @_harmless
    def unflag(self, label: str, **more: Any) -> Self:
        """The user takes the mark back."""
        return self._emit("flag", label=label, status="unset", **more)

    @_harmless
    def edit(
        self,
        corrected: str,
        *,
        original: str | None = None,
        origin: Literal["user", "expert", "model"] = "user",
        comment: str | None = None,
        **more: Any,
    ) -> Self:
        """What the output should have been. original: the text that was corrected, the output when None."""
        original = self.text if original is None else original
        fields: dict[str, Any] = {"corrected_text": corrected, "corrected_length": texts.length(corrected)}
        if original is not None:
            fields["original_length"] = texts.length(original)
            fields["distance"] = texts.levenshtein(original, corrected)
        return self._emit("edit", origin=origin, comment=comment, **fields, **more)

    @_harmless
    def retention_check(
        self,
        *,
        horizon_s: int | None = None,
        current_text: str | None = None,
        elapsed_ms: int | None = None,
        original: str | None = None,
        reason: str = "no_text",
        accept_seq: int | None = None,
        **more: Any,
    ) -> Self:
        """How much of the accepted text still stands. `track` sends these by itself.

        current_text: what the accepted text has become; empty when it was removed; None when it could not be read, and
        then `reason` says why. elapsed_ms: since the accept, by a monotonic clock; measured when None.
        A handle that did not accept knows neither the time nor the text of the accept: it needs elapsed_ms, and
        original, the accepted text. accept_seq: which accept is checked; this handle's last when None, else the first.
        """
        accepted = self._accepted
        original = accepted.text if original is None else original
        if not accepted.sequence and elapsed_ms is None:
            return self._refuse("elapsed_ms", "give the time since the accept: it was not made on this handle")
        if original is None and current_text is not None:
            return self._refuse("original", "give the accepted text: this handle does not know it")
        if elapsed_ms is None:
            elapsed_ms = round((self.emitter.clock.monotonic_s() - accepted.at_monotonic_s) * 1000)
        sequence = (accepted.sequence or 1) if accept_seq is None else accept_seq
        found = survival_fields(original, current_text, reason)
        fields = {"horizon_s": horizon_s, "elapsed_ms": elapsed_ms, "accept_seq": sequence, **found, **more}
        return self._emit("retention_check", **fields)

    @_harmless
    def track(self, read: Read, *, horizons_s: Sequence[int] = HORIZONS_S, ref: str | None = None) -> Self:
        """Look at the accepted text again at each horizon after its accept, and emit how much of it still stands.

        read: gives what the accepted text has become; empty when it was removed. None, an exception or
        `Unobserved(reason)` when it cannot be read. It is called on another thread; a coroutine function runs on the
        loop that is running now.
        ref: where the text is, in the app's own words, for `Keeprate(reread=...)` after a restart.
        """
        if not callable(read):
            self._refuse("track", f"give a function that reads the text, not {type(read).__name__}")
            return self
        accepted = self._accepted
        # An accept of nothing is left out of retention, and without an accept there is nothing to track.
        if accepted.text:
            check = Check(self._repeated, accepted.sequence, accepted.text, 0, accepted.at_ms, ref)
            self.emitter.track(check, read, accepted.at_monotonic_s, horizons_s)
        elif accepted.text is None:
            self._refuse("track", "the accepted text is not known: give it to accept(text) on this handle")
        return self

    @_harmless
    def evaluation(
        self,
        name: str,
        *,
        value: float | None = None,
        label: str | None = None,
        kind: Literal["human", "llm", "code"] = "code",
        annotator: str | None = None,
        explanation: str | None = None,
        **more: Any,
    ) -> Self:
        """A judgement by a model, a person or code."""
        judgement = {"value": value, "label": label, "explanation": explanation}
        return self._emit("evaluation", name=name, annotator_kind=kind, annotator=annotator, **judgement, **more)

    def _accept(self, action: str, text: str | None, **fields: Any) -> Self:
        text = self.text if text is None else text
        size = _size(text)
        accepted = self._accepted
        accepted.sequence += 1
        accepted.text = text
        accepted.at_monotonic_s = self.emitter.clock.monotonic_s()
        accepted.at_ms = self.emitter.clock.wall_ms()
        return self._emit("action", action=action, **{"accept_seq": accepted.sequence, **size, **fields})

    def _refuse(self, field: str, reason: str) -> Self:
        self.emitter.refuse(ContractError("invalid", reason, field))
        return self

    def _emit(self, event_type: str, **fields: Any) -> Self:
        self.emitter.emit({**self._repeated, "type": event_type, **fields})
        return self

    @property
    def _repeated(self) -> dict[str, Any]:
        return {**self.origin, **({} if self.choice_index == 0 else {"choice_index": self.choice_index})}


def survival_fields(original: str | None, current: str | None, reason: str) -> dict[str, Any]:
    """The fields of a retention check that tell what the accepted text has become, and compare the two."""
    if current is None or original is None:
        return {"status": "unobserved", "reason": reason}
    found = texts.survival(original, current)
    return {"status": "present" if current else "removed", **vars(found), "current_text": current}


def _size(text: str | None) -> dict[str, int]:
    return {} if text is None else {"length": texts.length(text), "lines": texts.line_count(text)}
