"""What the verifier exports: zeros before the first pass, then its numbers, and the last while nothing can be read."""

from datetime import date

from prometheus_client import CollectorRegistry

from keeprate.deploy.monitor.verifying import Pass, Verifier, families
from keeprate.sinks.checks.agreement import Agreement
from keeprate.sinks.checks.finding import CHECKS, Finding
from keeprate.sinks.checks.verification import VerifyReport

DAY = date(2026, 3, 2)


def samples(last: Pass | None) -> dict[tuple[str, tuple[str, ...]], float]:
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in families(last)
        for sample in family.samples
    }


def test_every_invariant_stands_at_zero_before_the_first_pass() -> None:
    """Prometheus does not see the first finding of a series that appears with it."""
    found = samples(None)
    assert {key[1] for key in found if key[0] == "keeprate_verify_findings"} == {(check,) for check in CHECKS}
    assert set(found.values()) == {0, 1}
    assert found["keeprate_verify_shares", ()] == 1


def test_findings_are_counted_by_invariant() -> None:
    """And what waits and what was compared is added up."""
    findings = [Finding("I7", "partition 0", "x"), Finding("I7", "partition 1", "x"), Finding("I2", "s", "x")]
    agreements = [Agreement(0, DAY, facts=10, waiting=2), Agreement(1, DAY, facts=5, waiting=1)]
    found = samples(Pass(VerifyReport(findings, [], agreements, 3, 100, 40, 2), 1.5, 1000.0))
    assert [found["keeprate_verify_findings", (check,)] for check in CHECKS] == [0, 1, 0, 0, 2]
    assert found["keeprate_verify_checked", ("generations",)] == 15
    assert found["keeprate_verify_checked", ("offsets",)] == 100
    assert found["keeprate_verify_waiting", ()] == 3
    assert found["keeprate_verify_last_success_timestamp_seconds", ()] == 1000.0


def test_a_store_that_is_away_is_no_success() -> None:
    """It is asked again at the next interval."""
    verifier = Verifier("http://127.0.0.1:9/keeprate", "127.0.0.1:9", every_s=600)
    verifier.refresh()
    registry = CollectorRegistry()
    registry.register(verifier)
    assert registry.get_sample_value("keeprate_verify_last_success_timestamp_seconds") == 0
    assert registry.get_sample_value("keeprate_verify_interval_seconds") == 600
