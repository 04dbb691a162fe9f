"""API keys and limits."""

import json
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from keeprate.deploy.commands.tree import app as commands
from keeprate.producers.collector.errors import RequestError
from keeprate.producers.collector.keys import FILE_NAME, Keys, UnknownKeyError
from keeprate.producers.collector.limits import MemoryBudget, RateLimit


def test_a_key_is_found_by_its_text_and_kept_as_a_hash(tmp_path: Path) -> None:
    """The file does not hold the key, and only its owner may read it."""
    path = tmp_path / "keys.json"
    key, text = Keys(path).create("demo", "laptop")
    assert Keys(path).find(text) == key
    assert key.app == "demo"
    assert text not in path.read_text()
    assert text.rpartition("_")[2] not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_no_other_text_is_a_key(tmp_path: Path) -> None:
    """Neither a part of a key, nor more than it, nor nothing."""
    keys = Keys(tmp_path / "keys.json")
    _, text = keys.create("demo")
    for other in ("", text[:-1], text + "x", text.upper(), "kr__", "\udcff"):
        assert Keys(keys._path).find(other) is None


def test_a_revoked_key_is_refused_and_stays_listed(tmp_path: Path) -> None:
    """By a process that had read the file before, too."""
    path = tmp_path / "keys.json"
    reader, writer = Keys(path), Keys(path)
    key, text = writer.create("demo")
    assert reader.find(text) is not None
    writer.revoke(key.id)
    reader._checked_at = float("-inf")
    assert reader.find(text) is None
    assert [entry.revoked_at is not None for entry in reader.list()] == [True]
    with pytest.raises(UnknownKeyError):
        writer.revoke("nobody")


def test_the_salt_stays_the_same(tmp_path: Path) -> None:
    """Or one user would have a second hash after every start."""
    path = tmp_path / "new" / "keys.json"
    assert Keys(path).salt() == Keys(path).salt()
    Keys(path).create("demo")
    assert len(Keys(path).salt()) == 32


def test_a_rate_is_kept_per_key_with_a_burst_of_twice_as_much() -> None:
    """Time brings the tokens back."""
    limit = RateLimit(10)
    for _ in range(20):
        limit.take("a", 100.0)
    with pytest.raises(RequestError) as caught:
        limit.take("a", 100.0)
    assert (caught.value.status, caught.value.retry_after_s) == (429, 1)
    limit.take("b", 100.0)
    limit.take("a", 100.2)
    RateLimit(0).take("a", 0.0)


def test_a_budget_refuses_what_does_not_fit() -> None:
    """And takes it once room was given back."""
    budget = MemoryBudget(100)
    budget.take(70)
    with pytest.raises(RequestError) as caught:
        budget.take(40)
    assert (caught.value.status, budget.used_bytes) == (503, 70)
    budget.give_back(70)
    budget.take(40)


def test_the_commands_make_list_and_revoke_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key is on standard output alone, so that a script can take it; nothing shows it again."""
    monkeypatch.setenv("KEEPRATE_DATA_DIR", str(tmp_path))
    run = CliRunner().invoke
    made = run(commands, ["keys", "create", "shop", "--label", "web"])
    text = made.stdout.strip()
    assert Keys(tmp_path / FILE_NAME).find(text) is not None
    listed = run(commands, ["keys", "list", "--json"])
    [entry] = json.loads(listed.stdout)
    assert (entry["app"], entry["label"], entry["revoked_at"]) == ("shop", "web", None)
    assert text not in listed.stdout
    assert "hash" not in entry
    assert run(commands, ["keys", "revoke", entry["id"]]).exit_code == 0
    assert "revoked" in run(commands, ["keys", "list"]).stdout
    assert Keys(tmp_path / FILE_NAME).find(text) is None
    wrong = run(commands, ["keys", "revoke", "nobody"])
    assert "keeprate keys list" in str(wrong.exception)
    refused = run(commands, ["keys", "create", "no spaces please"])
    assert "APP" in str(refused.exception)
