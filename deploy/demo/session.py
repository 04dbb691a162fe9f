"""One user's visit to one app, while it is played: its randomness, its clock, and what has happened so far."""

import math
from dataclasses import dataclass, field
from random import Random
from typing import Any, cast

from keeprate.deploy.demo.story import (
    USERS_PER_APP,
    Model,
    SimulatedApp,
    User,
    Version,
    World,
    newer_share,
    user_of,
    version_of,
)
from keeprate.deploy.demo.texts import PROMPTS
from keeprate.producers.text import length, line_count
from keeprate.schemas.events import SCHEMA_VERSION, Event


@dataclass
class Visit:
    """A visit. `now` is its clock, in milliseconds since the epoch; playing a scene moves it forward."""

    world: World
    app: SimulatedApp
    user: User
    version: Version
    newer: bool
    rng: Random
    now: int
    identity: str
    events: list[Event] = field(default_factory=list)

    def wait(self, median_s: float, spread: float = 0.6) -> None:
        """Let a span of time pass, log-normal around its median."""
        self.now += 1 + int(1000 * median_s * self.user.patience * self.rng.lognormvariate(0, spread))

    def failure(self, *kinds: str) -> str | None:
        """How the next call fails: mostly not at all."""
        return self.rng.choice(kinds) if self.chance(self.version.failure) else None

    def chance(self, share: float) -> bool:
        """True for this share of the calls."""
        return self.rng.random() < share

    def leans(self, share: float, *appeals: float) -> bool:
        """`chance`, with the log-odds of the share moved by the user's leaning and by the appeals."""
        odds = math.log(share / (1 - share)) + self.user.leaning + sum(appeals)
        return self.chance(1 / (1 + math.exp(-odds)))

    def new_id(self, at_ms: int | None = None) -> str:
        """A UUIDv7 whose random bits come from the session's seed."""
        random_bits = self.rng.getrandbits(74)
        value = (self.now if at_ms is None else at_ms) << 80 | 0x7 << 76
        value |= (random_bits >> 62) << 64 | 0b10 << 62 | random_bits & (1 << 62) - 1
        text = f"{value:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def tell(self, kind: str, generation_id: str, at_ms: int | None = None, **fields: Any) -> None:
        """Add an event, now or at a given time."""
        at_ms = self.now if at_ms is None else at_ms
        event = {
            "type": kind,
            "event_id": self.new_id(at_ms),
            "schema_version": SCHEMA_VERSION,
            "occurred_at": at_ms,
            "app": self.app.name,
            "environment": "production",
            "user": self.user.name,
            "session": self.identity,
            "generation_id": generation_id,
        }
        self.events.append(cast(Event, event | fields))

    def generate(
        self, model: Model, text: str, *, tokens: tuple[int, int], error_type: str | None = None, **fields: Any
    ) -> str:
        """A generation that begins now and is over when this returns; its id. `tokens` of input and of output."""
        if error_type:
            text, tokens = "", (tokens[0], 0)
        if (prompt := PROMPTS.get((self.app.name, self.version.name))) is not None:
            fields["input"] = [{"role": "system", "content": prompt}, *fields["input"]]
        generation_id, begun_at = self.new_id(), self.now
        latency_ms = int(model.median_ms * self.rng.lognormvariate(0, 0.35) * (1 + tokens[1] / 400))
        cost_usd = (tokens[0] * model.input_price + tokens[1] * model.output_price) / 1e6
        self.now += latency_ms
        # A call is told of once it is over; its own time is that of the request.
        self.tell(
            "generation",
            generation_id,
            begun_at,
            provider=model.provider,
            model=model.name,
            prompt_version=self.version.name,
            experiment=self.app.experiment,
            variant="treatment" if self.newer else "control",
            content_mode="full",
            output=[{"role": "assistant", "content": text}] if text else None,
            outcome="failed" if error_type else "produced" if text else "empty",
            error_type=error_type,
            finish_reason="error" if error_type else "stop",
            input_tokens=tokens[0],
            output_tokens=tokens[1],
            cost_usd=round(cost_usd, 6),
            latency_ms=latency_ms,
            time_to_first_token_ms=int(latency_ms * self.rng.uniform(0.2, 0.5)),
            **fields,
        )
        return generation_id

    def act(self, action: str, generation_id: str, text: str = "", **fields: Any) -> None:
        """An action; with a text, its length and lines."""
        if text:
            fields |= {"length": length(text), "lines": line_count(text)}
        self.tell("action", generation_id, action=action, **fields)


def new_session(world: World, app: SimulatedApp, rng: Random, at_ms: int) -> Visit:
    """A visit of a random user, who has the version that their cohort has on that day."""
    user = user_of(world, app, rng.randrange(USERS_PER_APP))
    newer = user.early < newer_share(world, at_ms)
    identity = f"{rng.getrandbits(48):012x}"
    return Visit(world, app, user, version_of(world, app, newer, at_ms), newer, rng, at_ms, identity)
