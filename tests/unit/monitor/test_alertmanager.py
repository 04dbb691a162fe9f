"""What an Alertmanager says of itself, in the words of versions other than the one at hand."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from keeprate.deploy.alerting.alertmanager import Sent, routing, sent
from keeprate.deploy.commands.tree import app

NEWER = """\
# TYPE alertmanager_notification_requests_total counter
alertmanager_notification_requests_total{integration="slack",receiver_name="pages"} 3
alertmanager_notification_requests_total{integration="slack",receiver_name="warnings"} 4
alertmanager_notification_requests_failed_total{integration="slack",receiver_name="warnings"} 2
alertmanager_notifications_failed_total{integration="slack",receiver_name="pages",reason="clientError"} 9
alertmanager_notification_latency_seconds_count{integration="slack"} 7
"""


def test_receivers_are_summed_where_they_are_told_apart() -> None:
    """A feature of newer ones; requests count, not the notifications that they belong to."""
    assert sent(NEWER) == {"slack": Sent(7, 2)}


def test_ways_are_read_from_the_receivers_alone() -> None:
    """Nothing before or after them; a receiver may have several ways, or none."""
    text = (
        "global:\n  webhook_configs: no\nroute:\n  receiver: a\n  routes:\n  - receiver: b\n    group_wait: 1m30s\n"
        "  group_wait: 10s\nreceivers:\n- name: a\n- name: b\n  email_configs:\n  - to: x\n    slack_configs: no\n"
        "  slack_configs:\n  - channel: y\ntemplates: []\nmute_time_intervals:\n- name: c\n  sns_configs: no\n"
    )
    found = routing(text)
    assert found.ways == {"a": (), "b": ("email", "slack")}
    assert found.longest_wait_s == 90


def test_without_a_group_wait_it_is_that_of_alertmanager() -> None:
    """Thirty seconds."""
    assert routing("route:\n  receiver: a\nreceivers:\n- name: a\n").longest_wait_s == 30


@pytest.mark.parametrize("pair", ["severity", "=critical", "severity="])
def test_a_label_without_a_value_is_refused(pair: str) -> None:
    """Before anything is fired."""
    done = CliRunner().invoke(app, ["alerts", "test", "--label", pair])
    assert done.exit_code == 1
    assert "give name=value" in str(done.exception) + done.output


def test_the_configuration_is_written_for_other_users_to_read(tmp_path: Path) -> None:
    """Prometheus's, for example; a job that does not exist is refused."""
    directory = tmp_path / "new"
    done = CliRunner().invoke(app, ["alerts", "config", str(directory), "--target", "keeprate-sink=10.0.0.3:9471"])
    assert done.exit_code == 0, done.output
    assert {path.name: path.stat().st_mode & 0o777 for path in directory.iterdir()} == {
        "prometheus.yml": 0o644,
        "rules.yml": 0o644,
        "alertmanager.yml": 0o644,
    }
    assert "10.0.0.3:9471" in (directory / "prometheus.yml").read_text()
    wrong = CliRunner().invoke(app, ["alerts", "config", str(directory), "--target", "nobody=10.0.0.3:1"])
    assert wrong.exit_code == 1
    assert "no such job" in str(wrong.exception) + wrong.output
