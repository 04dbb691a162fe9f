"""What happens in each app during a visit: completions in an editor, answers to customers, an agent's run."""

from collections.abc import Callable
from typing import Any

from keeprate.deploy.demo.retention import HOUR_S, track
from keeprate.deploy.demo.session import Visit
from keeprate.deploy.demo.story import Model, hallucination_share
from keeprate.deploy.demo.texts import (
    COMPLETIONS,
    EXTENSIONS,
    FLAG_COMMENTS,
    MODULES,
    QUESTIONS,
    TASKS,
    VOTE_COMMENTS,
    Enquiry,
)
from keeprate.producers.text import length, levenshtein

LANGUAGE_WEIGHTS = {"python": 40, "typescript": 30, "go": 14, "rust": 8, "sql": 8}
LANGUAGE_APPEAL = {"python": 0.15, "typescript": 0.0, "go": 0.05, "rust": -0.35, "sql": -0.1}
TOOLS = ["read_file", "search", "apply_patch", "run_tests"]


def edit_code(session: Visit) -> None:
    """Several completions in one file."""
    language = session.rng.choices(list(LANGUAGE_WEIGHTS), list(LANGUAGE_WEIGHTS.values()))[0]
    model = session.app.models[session.chance(0.45)]
    for _ in range(1 + int(session.rng.expovariate(1 / 4.5))):
        _complete(session, model, language)
        session.wait(25, 1.0)


def _complete(session: Visit, model: Model, language: str) -> None:
    is_empty = session.chance(0.03)
    before, completed = COMPLETIONS[language][0] if is_empty else session.rng.choice(COMPLETIONS[language])
    text = "" if is_empty else completed
    error_type = session.failure("timeout")
    file = f"{session.rng.choice(MODULES)}.{EXTENSIONS[language]}"
    generation_id = session.generate(
        model,
        text,
        tokens=(session.rng.randint(300, 2400), len(text) // 4),
        operation="text_completion",
        surface="inline",
        language=language,
        trigger="manual" if session.chance(0.12) else "automatic",
        prompt_name=session.app.prompt,
        context_strategy="repo-map" if session.chance(0.5) else "open-files",
        input=[{"role": "user", "content": f"{file}\n\n{before}"}],
        error_type=error_type,
    )
    # One in nine arrives when the user has typed on already, and is never shown.
    if text and not error_type and not session.chance(0.11):
        _decide(session, generation_id, text, model.appeal + LANGUAGE_APPEAL[language])


def _decide(session: Visit, generation_id: str, text: str, appeal: float) -> None:
    session.act("shown", generation_id, text)
    dwell_ms = int(1000 * session.rng.lognormvariate(-0.2, 0.8))
    session.now += dwell_ms
    if session.leans(session.version.acceptance, appeal):
        _take(session, generation_id, text, dwell_ms)
    else:
        ending = session.rng.choices(("ignore", "reject", "supersede"), (60, 25, 15))[0]
        session.act(ending, generation_id, dwell_ms=dwell_ms)


def _take(session: Visit, generation_id: str, text: str, dwell_ms: int) -> None:
    head, accept_seq = text.split("\n")[0], 0
    if head != text and session.chance(0.35):
        session.act("accept_partial", generation_id, head, dwell_ms=dwell_ms)
        if session.chance(0.4):
            return track(session, generation_id, head)
        session.wait(1.2)
        accept_seq = 1
    session.act("accept", generation_id, text, dwell_ms=dwell_ms, accept_seq=accept_seq)
    track(session, generation_id, text, accept_seq=accept_seq)
    if session.chance(0.02):
        _flag(session, generation_id, session.rng.choice(("insecure", "wrong_api")))
    return None


def _flag(session: Visit, generation_id: str, label: str) -> None:
    session.wait(20)
    severity = session.rng.choice(("low", "medium", "high"))
    comment = FLAG_COMMENTS[label] if session.chance(0.5) else None
    session.tell("flag", generation_id, label=label, status="set", severity=severity, comment=comment)
    if session.chance(0.1):
        session.wait(15)
        session.tell("flag", generation_id, label=label, status="unset")


def _vote(session: Visit, generation_id: str, *, pleased: bool) -> None:
    session.wait(12)
    value = 1 if pleased else -1
    comment = session.rng.choice(VOTE_COMMENTS[value]) if session.chance(0.3) else None
    session.tell("vote", generation_id, value=value, comment=comment)
    if session.chance(0.06):
        session.wait(8)
        session.tell("vote", generation_id, value=session.rng.choice((-value, 0)))


def answer_customer(session: Visit) -> None:
    """One to four turns of a support chat, each drafted by the model and sent by a person."""
    model = session.app.models[session.chance(0.5)]
    for _ in range(session.rng.choices((1, 2, 3, 4), (40, 32, 18, 10))[0]):
        _draft(session, model)
        session.wait(90, 0.8)


def _draft(session: Visit, model: Model) -> None:
    exchange = session.rng.choice(QUESTIONS)
    text = exchange.answer
    strategy = "hybrid-search" if session.chance(0.5) else "faq-only"
    sources = ["faq"] if strategy == "faq-only" else ["faq", "orders", "policies"]
    wrong = session.chance(hallucination_share(session.world, strategy, session.now))
    error_type = session.failure("rate_limited", "timeout")
    generation_id = session.generate(
        model,
        text,
        tokens=(session.rng.randint(500, 3000), len(text) // 4),
        operation="chat",
        surface="chat",
        language="en",
        prompt_name=session.app.prompt,
        prompt_variables={"channel": session.rng.choice(("web", "mail", "app"))},
        context_strategy=strategy,
        context_sources=sources,
        input=[{"role": "user", "content": exchange.question}],
        error_type=error_type,
    )
    if error_type:
        return
    session.act("shown", generation_id, text)
    session.wait(14)
    if session.leans(session.version.acceptance, model.appeal, -1.2 if wrong else 0.0):
        _send(session, generation_id, exchange)
    else:
        session.act("regenerate" if session.chance(0.25) else "dismiss", generation_id)
    _judge(session, generation_id, wrong=wrong)


def _send(session: Visit, generation_id: str, exchange: Enquiry) -> None:
    text = exchange.answer
    session.act("accept", generation_id, text)
    # The drafts are kept as snippets, and read again after ten minutes and after a day.
    track(session, generation_id, text, (600, 24 * HOUR_S))
    if not session.chance(session.version.edited):
        return
    session.wait(25)
    is_rewritten = session.chance(session.version.rewritten)
    corrected = session.rng.choice(exchange.heavily if is_rewritten else exchange.lightly)
    lengths = {"original_length": length(text), "corrected_length": length(corrected)}
    gap = levenshtein(text, corrected)
    session.tell("edit", generation_id, corrected_text=corrected, distance=gap, origin="user", **lengths)


def _judge(session: Visit, generation_id: str, *, wrong: bool) -> None:
    if session.chance(0.22):
        _vote(session, generation_id, pleased=session.chance(0.15 if wrong else 0.83 if session.newer else 0.68))
    if wrong and session.chance(0.7):
        _flag(session, generation_id, "outdated" if session.now >= session.world.stale_at else "hallucination")
    elif session.chance(0.015):
        _flag(session, generation_id, "tone")
    if session.chance(0.35):
        _evaluate(session, generation_id, "llm", "judge-orion-2", wrong=session.chance(0.82 if wrong else 0.06))
    if session.chance(0.08):
        _evaluate(session, generation_id, "human", "reviewer-1", wrong=session.chance(0.95 if wrong else 0.02))


def _evaluate(session: Visit, generation_id: str, kind: str, annotator: str, *, wrong: bool) -> None:
    at_ms = session.now + (session.rng.randint(2, 30) if kind == "llm" else session.rng.randint(1800, 90_000)) * 1000
    value = session.rng.uniform(0.05, 0.45) if wrong else session.rng.uniform(0.7, 1.0)
    session.tell(
        "evaluation",
        generation_id,
        at_ms,
        name="grounded",
        annotator_kind=kind,
        annotator=annotator,
        value=round(value, 2),
        label="incorrect" if wrong else "correct",
        explanation="The answer names a page that the sources do not have." if wrong else None,
    )


def run_agent(session: Visit) -> None:
    """A task: a plan, searches and edits below it, and a summary that a person takes or leaves."""
    model, task = session.app.models[session.chance(0.4)], session.rng.choice(TASKS)
    root, failed = _step(session, model, "plan", task, f"1. Read the code. 2. {task}. 3. Run the tests.")
    if failed:
        return
    _step(session, model, "search", task, "rg --files-with-matches retry src/", root, ["search", "read_file"])
    for _ in range(session.rng.randint(1, 3)):
        _patch(session, model, task, root)
    summary = f"{task}: done. All tests pass."
    generation_id, failed = _step(session, model, "summary", task, summary, root)
    if failed:
        return
    session.act("shown", generation_id, summary)
    session.wait(40)
    pleased = session.leans(session.version.acceptance, model.appeal)
    session.act("accept" if pleased else "reject", generation_id, summary if pleased else "")
    _run_tests(session, root, passed=session.chance(0.9 if pleased else 0.5))
    if session.chance(0.3):
        _vote(session, root, pleased=pleased)


def _step(
    session: Visit,
    model: Model,
    step: str,
    task: str,
    text: str,
    parent: str | None = None,
    tools: list[str] | None = None,
) -> tuple[str, bool]:
    """One call of the agent's for its task; its id, and whether it failed."""
    session.wait(3)
    thrift = 1.4 if session.newer else 1.0
    error_type = session.failure("timeout", "context_length", "tool_error")
    generation_id = session.generate(
        model,
        text,
        tokens=(int(session.rng.randint(2000, 12000) * thrift), len(text) // 3),
        operation="chat" if parent else "invoke_agent",
        surface="agent",
        language="python",
        prompt_name=f"{session.app.prompt}-{step}",
        context_strategy="tool-use",
        step=step,
        parent_generation_id=parent,
        tools_offered=TOOLS,
        tools_called=tools,
        input=[{"role": "user", "content": task}],
        error_type=error_type,
    )
    return generation_id, error_type is not None


def _patch(session: Visit, model: Model, task: str, root: str) -> None:
    text = "\n".join(completed for _, completed in session.rng.sample(COMPLETIONS["python"], 2))
    generation_id, failed = _step(session, model, "edit", task, text, root, ["apply_patch"])
    if not failed:
        # No accept step: the agent applies its patch, so only retention speaks of it.
        session.act("accept", generation_id, text, accept_mode="auto")
        track(session, generation_id, text)


def _run_tests(session: Visit, root: str, *, passed: bool) -> None:
    result: dict[str, Any] = {"value": float(passed), "label": "pass" if passed else "fail"}
    session.tell("evaluation", root, name="tests", annotator_kind="code", annotator="ci", **result)


SCENES: dict[str, Callable[[Visit], None]] = {
    "editor": edit_code,
    "support": answer_customer,
    "repo-agent": run_agent,
}
