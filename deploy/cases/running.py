"""Asks a subject all cases of a suite, so many at a time, and holds each answer to its checks."""

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

from keeprate.deploy.cases.checks import CheckError, Judge, applicable, apply
from keeprate.deploy.cases.runs import CaseResult
from keeprate.deploy.cases.subjects import Subject, SubjectError
from keeprate.deploy.cases.suite import Case, Json
from keeprate.schemas.ids import uuid7


def run_all(
    cases: Iterable[Case],
    subject: Subject,
    checks: Sequence[Json],
    judge: Judge | None,
    parallel: int,
    on_result: Callable[[CaseResult], object],
) -> None:
    """Return once every case has its result. on_result is called on this thread, with each as it comes.

    checks: in place of the cases' own, where there are any. Interrupted, it waits for those that are being asked.
    """
    pool = ThreadPoolExecutor(parallel)
    try:
        asked = [pool.submit(run_one, case, subject, checks or case.checks, judge) for case in cases]
        for done in as_completed(asked):
            on_result(done.result())
    finally:
        pool.shutdown(cancel_futures=True)


def run_one(case: Case, subject: Subject, checks: Sequence[Json], judge: Judge | None) -> CaseResult:
    """Ask one case, and hold its answer to the checks that it can be held to."""
    began_s = time.monotonic()
    answer: str | None = None
    held: list[Json] = []
    error = ""
    try:
        answer = subject.answer(case)
        held = [vars(apply(check, case, answer, judge)) for check in applicable(checks, case)]
    except (SubjectError, CheckError) as reason:
        error = str(reason)
    took_ms = round((time.monotonic() - began_s) * 1000)
    verdict = "error" if error else "passed" if all(each["held"] for each in held) else "failed"
    return CaseResult(
        case.identity,
        verdict,  # type: ignore[arg-type]
        at=time.time_ns() // 1_000_000,
        event_id=uuid7(),
        held=held,
        answer=answer,
        took_ms=took_ms,
        error=error,
    )
