"""API keys and limits."""

import asyncio
import json
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest
from typer.testing import CliRunner

from keeprate.deploy.commands.tree import app as commands
from keeprate.producers.collector.errors import RequestError
from keeprate.producers.collector.gate.addresses import ClientAddresses, networks, one_client
from keeprate.producers.collector.gate.keys import FILE_NAME, Key, Keys, Quotas, UnknownKeyError
from keeprate.producers.collector.gate.limits import MemoryBudget, RateLimit, Spending, TenantTurns
from keeprate.producers.collector.publisher import Publisher
from keeprate.producers.collector.server import assemble
from keeprate.producers.collector.settings import CollectorSettings
from keeprate.producers.errors import SettingsError

NOW = datetime.now(UTC)


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
    found = reader.find(text)
    assert found is not None
    assert "was revoked at" in str(found.refused_since(NOW))
    assert [entry.revoked_at is not None for entry in reader.list()] == [True]
    with pytest.raises(UnknownKeyError):
        writer.revoke("nobody")


def test_the_salt_stays_the_same(tmp_path: Path) -> None:
    """Or one user would have a second hash after every start."""
    path = tmp_path / "new" / "keys.json"
    assert Keys(path).salt() == Keys(path).salt()
    Keys(path).create("demo")
    assert len(Keys(path).salt()) == 32


def test_users_are_hashed_with_a_salt_without_keys_too(tmp_path: Path) -> None:
    """Of a hash without a salt anybody finds the address by trying."""
    settings = CollectorSettings("127.0.0.1:9", tmp_path / FILE_NAME, keyless=True)
    collector = assemble(settings, cast("Publisher", None))
    assert collector.access.keys is None
    assert collector.salt == Keys(tmp_path / FILE_NAME).salt()
    assert len(collector.salt) == 32


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
    budget = MemoryBudget(100, 100)
    budget.take("a", 70)
    with pytest.raises(RequestError) as caught:
        budget.take("b", 40)
    assert (caught.value.status, budget.used_bytes) == (503, 70)
    budget.give_back("a", 70)
    budget.take("b", 40)


def test_a_tenant_cannot_take_the_whole_budget() -> None:
    """Beyond its share it waits, and the others do not."""
    budget = MemoryBudget(100, 50)
    budget.take("a", 50)
    with pytest.raises(RequestError):
        budget.take("a", 1)
    budget.take("b", 50)
    budget.give_back("a", 50)
    assert (budget.used_bytes, budget._of) == (50, {"b": 50})


def test_tenants_take_turns() -> None:
    """Whoever asked ten times before waits for one that asks once, and a client that left is passed over."""

    async def run() -> list[str]:
        turns, done = TenantTurns(), []

        async def work(tenant: str) -> None:
            async with turns.turn(tenant):
                await asyncio.sleep(0)
                done.append(tenant)

        tasks = [asyncio.create_task(work("much")) for _ in range(6)]
        await asyncio.sleep(0)
        tasks.append(asyncio.create_task(work("little")))
        await asyncio.sleep(0)
        tasks[2].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        async with turns.turn("after"):
            done.append("after")
        return done

    done = asyncio.run(run())
    assert done.index("little") <= 2
    assert done.count("much") == 5
    assert done[-1] == "after"


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
    found = Keys(tmp_path / FILE_NAME).find(text)
    assert found is not None
    assert found.refused_since(NOW)
    wrong = run(commands, ["keys", "revoke", "nobody"])
    assert "keeprate keys list" in str(wrong.exception)
    refused = run(commands, ["keys", "create", "no spaces please"])
    assert "APP" in str(refused.exception)
    (tmp_path / FILE_NAME).write_text("{")
    assert "is not JSON" in str(run(commands, ["keys", "list"]).exception)


def test_a_file_of_the_first_version_goes_on(tmp_path: Path) -> None:
    """Its keys send what they sent before, from any page; the next change writes the file in the new form."""
    path = tmp_path / "keys.json"
    key, text = Keys(path).create("demo", "old")
    document = json.loads(path.read_text())
    document["version"] = 1
    for name in ("scope", "origins", "expires_at", "quotas"):
        del document["keys"][0][name]
    path.write_text(json.dumps(document))
    keys = Keys(path)
    assert keys.find(text) == replace(key, origins=("*",))
    assert keys.any_allows("https://any.example")
    keys.create("demo")
    assert json.loads(path.read_text())["version"] == 2
    assert next(entry.id for entry in keys.list()) == key.id


def test_a_file_of_a_later_version_is_refused(tmp_path: Path) -> None:
    """It may hold a limit that this one does not know."""
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"version": 3, "salt": "00", "keys": []}))
    with pytest.raises(SettingsError, match="upgrade"):
        Keys(path).list()
    path.write_text("{")
    with pytest.raises(SettingsError, match="is not JSON"):
        Keys(path).list()


def test_a_file_that_cannot_be_read_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Somebody is editing it: the keys stay as they were, and the log says so."""
    path = tmp_path / "keys.json"
    keys = Keys(path)
    key, text = keys.create("demo")
    assert keys.find(text) == key
    path.write_text("{")
    keys._checked_at = float("-inf")
    assert keys.find(text) == key
    assert "stay as they were" in caplog.text


KEY = Key("1", "demo", "", "", "2026-01-01T00:00:00+00:00")


def test_a_quota_fills_up_in_its_span() -> None:
    """Once it is spent, the answer says how long to wait; a request beyond the whole of it never passes."""
    spending, key = Spending(), replace(KEY, quotas=Quotas(events_per_minute=60, bytes_per_day=100))
    spending.take_events(key, "a", 60, frozenset(), 0.0)
    with pytest.raises(RequestError) as caught:
        spending.take_events(key, "b", 30, frozenset(), 10.0)
    assert (caught.value.status, caught.value.error_type, caught.value.retry_after_s) == (429, "events_per_minute", 20)
    spending.take_events(key, "b", 30, frozenset(), 30.0)
    with pytest.raises(RequestError) as caught:
        spending.take_events(key, "b", 61, frozenset(), 1e6)
    assert (caught.value.status, caught.value.retry_after_s) == (413, 0)
    spending.take_bytes(key, 100, 0.0)
    with pytest.raises(RequestError, match="bytes a day"):
        spending.take_bytes(key, 1, 1.0)


def test_a_quota_of_an_address_is_of_one_address() -> None:
    """And a request that another quota refuses does not count against it."""
    spending, key = Spending(), replace(KEY, quotas=Quotas(events_per_day=15, events_per_address=10))
    spending.take_events(key, "a", 10, frozenset(), 0.0)
    with pytest.raises(RequestError, match="from one address"):
        spending.take_events(key, "a", 1, frozenset(), 0.0)
    with pytest.raises(RequestError, match="a day"):
        spending.take_events(key, "b", 6, frozenset(), 0.0)
    spending.take_events(key, "b", 5, frozenset(), 0.0)


def test_an_address_speaks_for_so_many_users_an_hour() -> None:
    """The same users again are not more users."""
    spending, key = Spending(), replace(KEY, quotas=Quotas(users_per_address=2))
    spending.take_events(key, "a", 5, frozenset("xy"), 0.0)
    spending.take_events(key, "a", 5, frozenset("y"), 60.0)
    with pytest.raises(RequestError) as caught:
        spending.take_events(key, "a", 1, frozenset("z"), 600.0)
    assert (caught.value.error_type, caught.value.retry_after_s) == ("users_per_address", 3_000)
    spending.take_events(key, "b", 1, frozenset("z"), 600.0)
    spending.take_events(key, "a", 1, frozenset("z"), 3_600.0)


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("192.0.2.1", "", "192.0.2.1"),
        ("192.0.2.1", "198.51.100.7", "192.0.2.1"),
        ("10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "6.6.6.6, 198.51.100.7:1234, 10.0.0.2", "198.51.100.7"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "unknown", "unknown"),
        ("10.0.0.1", "2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "", "192.0.2.1"),
        ("::ffff:10.0.0.1", "198.51.100.7", "198.51.100.7"),
    ],
)
def test_a_client_is_who_a_trusted_proxy_says(peer: str, forwarded: str, client: str) -> None:
    """Nobody else is believed, and what a client wrote into the header itself comes before what the proxy added."""
    assert ClientAddresses(networks(["10.0.0.0/8"])).client(peer, forwarded) == client
    assert one_client(client) == client


def test_a_proxy_that_is_no_network_is_refused() -> None:
    """With the setting's name."""
    with pytest.raises(SettingsError, match="trusted_proxy"):
        networks(["proxy.example"])


def test_a_key_for_a_page_is_made_and_listed_in_80_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its scope, pages, end and quotas."""
    monkeypatch.setenv("KEEPRATE_DATA_DIR", str(tmp_path))
    run = CliRunner().invoke
    options = ["--scope", "feedback", "--origin", "https://Shop.example/", "--origin", "https://www.shop.example:8443"]
    more = ["--expires", "90d", "--events-per-minute", "5000", "--label", "x" * 200]
    made = run(commands, ["keys", "create", "shop", *options, *more, "--json"])
    entry = json.loads(made.stdout)
    assert (entry["scope"], entry["origins"]) == ("feedback", ["https://shop.example", "https://www.shop.example:8443"])
    assert entry["quotas"] == {
        "events_per_minute": 5000,
        "events_per_day": None,
        "bytes_per_day": None,
        "events_per_address": 600,
        "users_per_address": 50,
    }
    days = datetime.fromisoformat(entry["expires_at"]) - NOW
    assert timedelta(days=89) < days < timedelta(days=91)
    lines = run(commands, ["keys", "list"]).stdout.splitlines()
    assert max(map(len, lines)) <= 80
    for said in (
        entry["id"],
        "valid until",
        "scope feedback",
        "pages of https://shop.example",
        "5,000 events per minute",
    ):
        assert said in "\n".join(lines)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--expires", "soon"),
        ("--expires", "2020-01-01"),
        ("--origin", "shop.example"),
        ("--origin", "https://shop.example/path"),
    ],
)
def test_a_wrong_option_of_a_key_is_named(
    option: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what was given."""
    monkeypatch.setenv("KEEPRATE_DATA_DIR", str(tmp_path))
    refused = CliRunner().invoke(commands, ["keys", "create", "shop", option, value])
    assert f"{option}: " in str(refused.exception)
    assert value in str(refused.exception)
