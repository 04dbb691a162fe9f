"""Settings: a file, the environment over it, a flag over both; a mistake is named with its remedy."""

import json
import logging
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import pytest
import typer.main
from typer.testing import CliRunner

from keeprate.deploy import settings
from keeprate.deploy.commands import logs
from keeprate.deploy.commands.tree import app
from keeprate.producers import environment
from keeprate.producers.errors import SettingsError
from keeprate.producers.tokens import token_source
from keeprate.schemas.access.brokers import Brokers, KafkaAccess, security

PASSWORD = "p%@:&#/?'s"


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment says nothing but what a test says."""
    for name in ("KEEPRATE_BROKERS", "KEEPRATE_STORE_URL", settings.CONFIG_VARIABLE):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of settings that is in use."""
    path = tmp_path / "keeprate.toml"
    monkeypatch.setenv(settings.CONFIG_VARIABLE, str(path))
    return path


def test_a_flag_holds_over_the_environment_and_that_over_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each can be read, and none is a surprise."""
    file.write_text('brokers = "file:1"\n[kafka]\ntls = true\nsasl = "PLAIN"\nusername = "file"\npassword = "f"\n')
    monkeypatch.setenv("KEEPRATE_KAFKA_USERNAME", "env")
    told = settings.from_environment().brokers
    assert (told, told.access.username, told.access.tls) == ("file:1", "env", True)
    monkeypatch.setenv("KEEPRATE_BROKERS", "env:1")
    assert settings.from_environment().brokers == "env:1"
    flagged = settings.from_environment("flag:1").brokers
    assert (flagged, flagged.access.username) == ("flag:1", "env")


def test_a_secret_is_read_from_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the newline that editors leave, and never both ways at once."""
    (tmp_path / "secret").write_text(PASSWORD + "\n")
    monkeypatch.setenv("KEEPRATE_STORE_USER", "us er")
    monkeypatch.setenv("KEEPRATE_STORE_PASSWORD_FILE", str(tmp_path / "secret"))
    store = environment.section(settings.StoreAccess, "store")
    assert store.password is not None
    assert store.password.get_secret_value() == PASSWORD
    assert PASSWORD not in repr(store)
    monkeypatch.setenv("KEEPRATE_STORE_PASSWORD", "other")
    with pytest.raises(SettingsError, match="KEEPRATE_STORE_PASSWORD_FILE too: keep one"):
        settings.from_environment()


@pytest.mark.parametrize(
    ("access", "named"),
    [
        ({"sasl": "PLAIN"}, "username and password"),
        ({"sasl": "OAUTHBEARER"}, "token_url or from token_hook"),
        ({"sasl": "OAUTHBEARER", "token_url": "http://idp"}, "the client's id and secret"),
        ({"username": "u", "password": PASSWORD}, "set sasl"),
        ({"ca_file": "/ca.pem"}, "set tls to true"),
        ({"tls": True, "key_file": "/key.pem"}, "set both"),
        ({"sasl": "SCRAM"}, "KEEPRATE_KAFKA_SASL"),
        ({"pasword": PASSWORD}, "KEEPRATE_KAFKA_PASWORD"),
    ],
)
def test_half_of_an_access_is_refused_with_the_other_half_named(access: dict[str, object], named: str) -> None:
    """And no value is repeated: it may be a secret."""
    with pytest.raises(SettingsError, match=named) as caught:
        environment.section(KafkaAccess, "kafka", access, {})
    assert PASSWORD not in str(caught.value)


def test_librdkafka_is_told_what_the_access_says() -> None:
    """Nothing for brokers that let everybody in; a broker's name is checked unless that is turned off."""
    assert security("a:1") == security(Brokers("a:1")) == {}
    access = KafkaAccess.model_validate(
        {"tls": True, "ca_file": "/ca.pem", "sasl": "SCRAM-SHA-512", "username": "u", "password": PASSWORD}
    )
    assert security(Brokers("a:1", access)) == {
        "security.protocol": "SASL_SSL",
        "ssl.endpoint.identification.algorithm": "https",
        "ssl.ca.location": "/ca.pem",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "u",
        "sasl.password": PASSWORD,
    }


def test_a_stores_address_takes_any_password() -> None:
    """The reader's for what reads, the writer's where there is no reader; a user in the URL stays."""
    store = settings.StoreAccess.model_validate(
        {"url": "https://h:1/d", "user": "w", "password": PASSWORD, "ca_file": "/ca.pem"}
    )
    assert store.address() == "https://w:p%25%40%3A%26%23%2F%3F%27s@h:1/d?ca_cert=%2Fca.pem"
    assert store.address(reads=True) == store.address()
    assert store.address("http://u:p@other:2/d") == "http://u:p@other:2/d?ca_cert=%2Fca.pem"
    reading = store.model_copy(update={"reader_user": "r"})
    assert reading.address(reads=True).startswith("https://r:@h:1")


@pytest.mark.parametrize("text", ["brokers = [", "[sinks]\nlinger_s = 1\n", "kafka = 1\n", "brokers = {}\n"])
def test_a_file_that_says_something_unknown_is_refused(file: Path, text: str) -> None:
    """A table that nobody reads is a setting that somebody believes in."""
    file.write_text(text)
    with pytest.raises(SettingsError, match=str(file)):
        settings.from_environment()


def _refused(arguments: list[str]) -> str:
    """What a command says of its options, without the box around it."""
    return " ".join(re.sub(r"[│\s]+", " ", CliRunner().invoke(app, arguments).output).split())


def test_options_of_a_process_come_from_the_environment_and_from_the_file(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them: what a container is told it is told so."""
    file.write_text("[sink]\nlinger_s = 0.01\n")
    assert "'--linger-s': Input should be greater than" in _refused(["sink"])
    monkeypatch.setenv("KEEPRATE_SINK_LINGER_S", "soon")
    assert "'--linger-s': Input should be a valid number" in _refused(["sink"])
    file.write_text("[sink]\nlinger = 1\n")
    with pytest.raises(SettingsError, match="linger"):
        CliRunner().invoke(app, ["sink"], catch_exceptions=False)


def test_what_the_file_may_set_are_processes() -> None:
    """Each is a command."""
    assert set(settings.PROCESSES) <= set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


class _Provider(BaseHTTPRequestHandler):
    asked: list[dict[str, list[str]]] = []  # noqa: RUF012 - what all requests of the one server said

    def do_POST(self) -> None:
        said = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.asked.append(parse_qs(said) | {"authorization": [self.headers["Authorization"]]})
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"access_token": "t0ken", "expires_in": 60}')

    def log_message(self, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def provider() -> Iterator[str]:
    """The address of an identity provider."""
    with HTTPServer(("127.0.0.1", 0), _Provider) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/token"
        server.shutdown()
        thread.join()


def test_client_credentials_give_a_token(provider: str) -> None:
    """Id and secret as RFC 6749 has them."""
    said = {"sasl": "OAUTHBEARER", "token_url": provider, "token_scope": "kafka", "username": "a b", "password": "c:d"}
    source = token_source(KafkaAccess.model_validate(said))
    assert source is not None
    assert source()[0] == "t0ken"
    assert _Provider.asked[-1] == {
        "grant_type": ["client_credentials"],
        "scope": ["kafka"],
        "authorization": ["Basic YSUyMGI6YyUzQWQ="],
    }


def test_a_hook_that_is_not_there_is_told() -> None:
    """When the process starts, not when the first token is due."""
    access = KafkaAccess.model_validate({"sasl": "OAUTHBEARER", "token_hook": "nowhere:token"})
    with pytest.raises(SettingsError, match="nowhere"):
        token_source(access)


def test_a_log_line_is_an_object() -> None:
    """Of one line, with its time in UTC, whatever the message holds."""
    record = logging.LogRecord("keeprate", logging.WARNING, "", 1, 'a "%s"\nb', ("x",), None)
    record.created = 0
    assert json.loads(logs.JsonFormatter().format(record)) == {
        "at": "1970-01-01T00:00:00.000+00:00",
        "level": "WARNING",
        "logger": "keeprate",
        "message": 'a "x"\nb',
    }


def test_shards_are_told_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """In order, each with the user and password of the store."""
    monkeypatch.setenv("KEEPRATE_STORE_URL", "https://a:8443/keeprate")
    monkeypatch.setenv("KEEPRATE_STORE_SHARDS", "https://a:8443/rows, https://b:8443/rows")
    monkeypatch.setenv("KEEPRATE_STORE_CLUSTER", "main")
    monkeypatch.setenv("KEEPRATE_STORE_USER", "keeprate")
    monkeypatch.setenv("KEEPRATE_STORE_PASSWORD", "p@ss")
    topology = settings.from_environment().topology
    assert topology.shard_urls == ("https://keeprate:p%40ss@a:8443/rows", "https://keeprate:p%40ss@b:8443/rows")
    assert (topology.cluster, topology.replicated) == ("main", False)


@pytest.mark.parametrize(
    ("shards", "cluster", "says"),
    [
        ("https://a/rows,https://b/rows", "", "KEEPRATE_STORE_CLUSTER"),
        ("https://a/rows,https://a/rows", "main", "another server's"),
        ("https://a/rows,https://b/lines", "main", "one name"),
        ("https://a/keeprate,https://b/keeprate", "main", "not the store's own"),
    ],
)
def test_shards_that_cannot_be_are_refused(
    monkeypatch: pytest.MonkeyPatch, shards: str, cluster: str, says: str
) -> None:
    """Before anything lands on them."""
    monkeypatch.setenv("KEEPRATE_STORE_URL", "https://a/keeprate")
    monkeypatch.setenv("KEEPRATE_STORE_SHARDS", shards)
    monkeypatch.setenv("KEEPRATE_STORE_CLUSTER", cluster)
    with pytest.raises(SettingsError, match=says):
        settings.from_environment()
