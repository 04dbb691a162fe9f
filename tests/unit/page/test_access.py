"""Who is let in: roles, the gate before every route, the file of people, and what a page elsewhere cannot do."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from keeprate.deploy.page.access import people
from keeprate.deploy.page.access.doors import Doors, PageAccess
from keeprate.deploy.page.access.gate import PUBLIC, require, viewer
from keeprate.deploy.page.access.login import COOKIE, SECRET_NAME, access, own_path
from keeprate.deploy.page.access.people import FILE_NAME, People, add_token, hashed
from keeprate.deploy.page.access.provider import LoginError, said
from keeprate.deploy.page.access.settings import AccessSettings
from keeprate.deploy.page.access.viewer import ANYBODY, EVERY, Sight, Viewer
from keeprate.deploy.page.app import page
from keeprate.deploy.page.exploring.withheld import without_texts
from keeprate.deploy.page.source import Source
from keeprate.producers.environment import section
from keeprate.producers.errors import SettingsError

NOW = datetime(2026, 11, 28, tzinfo=UTC)
JSON = {"content-type": "application/json"}
FILE = """
[[allow]]
who = "ana@example.com"
apps = ["editor"]
role = "reviewer"

[[allow]]
who = "ana@example.com"
apps = ["editor", "support"]
role = "viewer"

[[allow]]
group = "leads"
apps = ["*"]
role = "viewer"

[[allow]]
who = "gone@example.com"
apps = ["editor"]
role = "viewer"
expires = 2026-11-27
"""


def test_a_role_holds_in_its_app_and_the_lesser_ones_with_it() -> None:
    """And a role in every app holds in each, those that come later as well."""
    ana = Viewer("ana", {"editor": "reviewer", "support": "viewer"})
    assert [ana.may("editor", role) for role in ("viewer", "reviewer", "admin")] == [True, True, False]
    assert not ana.may("shop")
    assert not ana.may(EVERY)
    both = Viewer("bo", {EVERY: "viewer", "editor": "admin"})
    assert both.may("shop")
    assert both.may("editor", "admin")
    assert not both.may("shop", "reviewer")
    assert ANYBODY.may("whatever", "admin")


def test_what_may_be_read_follows_from_roles() -> None:
    """Numbers from viewers on, texts from whom the settings say on."""
    ana = Viewer("ana", {"editor": "reviewer", "support": "viewer"}, texts_from="reviewer")
    assert ana.sight == Sight(("editor", "support"), ("editor",))
    assert Viewer("bo", {EVERY: "viewer", "editor": "admin"}, texts_from="admin").sight == Sight(None, ("editor",))
    assert ANYBODY.sight == Sight()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A data directory with people in it."""
    (tmp_path / FILE_NAME).write_text(FILE)
    return tmp_path


def test_entries_of_the_file_add_up(home: Path) -> None:
    """Of one app the highest role holds; what has expired does not; nobody else is anybody."""
    known = People(home / FILE_NAME)
    assert known.roles_of("ana@example.com", (), NOW) == {"editor": "reviewer", "support": "viewer"}
    assert known.roles_of("lee@example.com", ("leads",), NOW) == {"*": "viewer"}
    assert known.roles_of("gone@example.com", (), NOW) == {}
    assert known.roles_of("", (), NOW) == {}


def test_a_token_is_kept_as_its_hash_alone(home: Path) -> None:
    """And its entry stands in the file in words that who runs Keeprate can read, and remove."""
    path = home / FILE_NAME
    text = add_token(path, 'ci "\u00e9"\U0001f600', ["editor"], "viewer", NOW.date())
    assert text not in path.read_text()
    known = People(path)
    assert known.of_token(hashed(text), NOW) == ('ci "\u00e9"\U0001f600', {"editor": "viewer"})
    assert known.of_token(hashed(text), datetime(2026, 11, 29, tzinfo=UTC)) is None
    assert known.of_token(text, NOW) is None
    fresh = home / "new" / FILE_NAME
    add_token(fresh, "ci", ["*"], "admin", None)
    assert fresh.stat().st_mode & 0o777 == 0o600


def test_a_file_that_breaks_changes_nothing_and_one_that_is_gone_lets_nobody_in(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """While it runs; a start with a broken file is refused, and names the entry and the field."""
    monkeypatch.setattr(people, "_RELOAD_S", -1.0)
    path = home / FILE_NAME
    known = People(path)
    before = known.entries()
    path.write_text('[[allow]]\nwho = "ana"\napps = ["editor"]\nrole = "boss"\n')
    assert known.entries() == before
    assert "allow 1 role" in caplog.text
    with pytest.raises(SettingsError, match="allow 1 role"):
        access(AccessSettings(by="tokens"), home)
    path.unlink()
    assert known.entries() == ()


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"by": "password"}, "KEEPRATE_ACCESS_\\*: by: password is no way"),
        ({"by": "proxy"}, "proxy_peers names none"),
        ({"by": "proxy", "proxy_peers": "proxy.example"}, "'proxy.example' is no address"),
        ({"by": "oidc", "url": "https://k.example"}, "needs oidc_issuer and oidc_client_id"),
        (
            {"by": "oidc", "url": "https://k.example", "oidc_issuer": "http://id.example", "oidc_client_id": "k"},
            "is not https",
        ),
        ({"url": "k.example"}, "is no http address"),
        ({"texts_from": "boss"}, "KEEPRATE_ACCESS_TEXTS_FROM"),
    ],
)
def test_settings_that_would_let_in_anybody_are_refused(values: dict[str, str], why: str) -> None:
    """With the field and the remedy."""
    with pytest.raises(SettingsError, match=why):
        section(AccessSettings, "access", values, {})


async def _who(request: Request) -> Response:
    return PlainTextResponse(viewer(request).name)


async def _write(request: Request) -> Response:
    return PlainTextResponse(require(request, request.path_params["app"], "reviewer").name)


def client_of(settings: AccessSettings, home: Path, peer: str = "testclient") -> TestClient:
    """The page with two routes more, one of which writes."""
    found = access(settings, home)
    own = [Route("/api/who", _who), Route("/api/write/{app}", _write, methods=["POST"])]
    application = page(
        Source("http://127.0.0.1:9"),
        ("testserver",),
        access=PageAccess(found.recognise, [*found.routes, *own], found.sessions),
    )
    return TestClient(application, client=(peer, 1), follow_redirects=False)


@pytest.fixture
def by_token(home: Path) -> Iterator[tuple[TestClient, str, str]]:
    """A page that knows people by tokens, with those of a viewer and of a reviewer of the editor."""
    made = [add_token(home / FILE_NAME, f"a {role}", ["editor"], role, None) for role in ("viewer", "reviewer")]
    with client_of(AccessSettings(by="tokens"), home) as client:
        yield client, made[0], made[1]


def test_nobody_unknown_reaches_a_route(by_token: tuple[TestClient, str, str]) -> None:
    """A program is told by a code, a person is led to the login and then to where they wanted; files are closed too."""
    client, _, _ = by_token
    for path in ("/api/who", "/api/status", "/api/suggestions.csv", "/api/me", "/api/nothing"):
        answer = client.get(path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized"), path
        assert answer.headers["www-authenticate"].startswith("Bearer")
    assert client.get("/versions?period=7d").headers["location"] == "./login?next=%2Fversions%3Fperiod%3D7d"
    assert client.get("/suggestions/editor/x").headers["location"].startswith("../../login?next=")
    assert client.get("/loop.js").status_code == 303
    assert client.get("/login").status_code == client.get("/healthz").status_code == 200
    assert "default-src 'none'" in client.get("/login").headers["content-security-policy"]


def test_a_token_opens_its_apps_alone(by_token: tuple[TestClient, str, str]) -> None:
    """A wrong one opens nothing, nor does the hash that the file shows; another app is refused by its name."""
    client, token, _ = by_token
    bearer = {"authorization": f"Bearer {token}"}
    assert client.get("/api/who", headers=bearer).text == "a viewer"
    for wrong in ("kp_wrong", hashed(token), token[:-1], ""):
        assert client.get("/api/who", headers={"authorization": f"Bearer {wrong}"}).status_code == 401
    for path in (
        "/api/summary?app=support",
        "/api/summary?app=editor&app=support",
        "/api/generations/support/x",
        "/suggestions/support/x",
    ):
        answer = client.get(path, headers=bearer)
        assert answer.status_code == 403, path
        assert "'support'" in answer.json()["error"]["message"]
    # The store is down: whoever is let in is told that.
    assert client.get("/api/summary?app=editor", headers=bearer).status_code == 503


def test_what_writes_takes_a_role(by_token: tuple[TestClient, str, str]) -> None:
    """In the app that it is about."""
    client, viewers, reviewers = by_token
    answers = [
        client.post(f"/api/write/{app}", json={}, headers={"authorization": f"Bearer {token}"}).status_code
        for token, app in ((viewers, "editor"), (reviewers, "editor"), (reviewers, "support"))
    ]
    assert answers == [403, 200, 403]


def test_a_browser_logs_in_by_a_token_and_out(by_token: tuple[TestClient, str, str]) -> None:
    """The cookie is for the server alone, holds no token, and is nothing once the token is taken from the file."""
    client, token, _ = by_token
    assert client.post("/api/login", json={"token": "kp_wrong"}).status_code == 401
    odd_ones: list[Any] = [{"token": 3}, [], {"token": hashed(token)}]
    for odd in odd_ones:
        assert client.post("/api/login", json=odd).status_code == 401
    for body in (b"[" * 9_000, b'{"token":"\\ud800"}', b'{"token":' + b"9" * 9_000 + b"}", b"\xff"):
        # Anybody may send this: what no reader of JSON takes is no error of the server's.
        sent = client.post("/api/login", content=body, headers={"content-type": "application/json"})
        assert sent.status_code == 401
    answer = client.post("/api/login", json={"token": token})
    assert answer.status_code == 204
    cookie = answer.headers["set-cookie"]
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert token not in cookie
    assert client.get("/api/me").json() == {"name": "a viewer", "roles": {"editor": "viewer"}, "texts_from": "viewer"}
    changed = dict(client.cookies)[COOKIE]
    client.cookies.set(COOKIE, "A" + changed[1:], domain="testserver.local")
    assert client.get("/api/me").status_code in (200, 401)
    client.cookies.clear()
    assert client.get("/api/me", headers={"cookie": f"{COOKIE}=A{changed[1:]}"}).status_code == 401
    assert client.get("/api/me", headers={"cookie": f"{COOKIE}={changed}"}).status_code == 200
    out = client.post("/api/logout", json={}, headers={"cookie": f"{COOKIE}={changed}", "origin": "http://testserver"})
    assert "1970" in out.headers["set-cookie"]


def test_a_session_ends_with_its_token(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is taken from the file is out within a second, in browsers too."""
    monkeypatch.setattr(people, "_RELOAD_S", -1.0)
    path = home / FILE_NAME
    token = add_token(path, "ci", ["editor"], "viewer", None)
    with client_of(AccessSettings(by="tokens"), home) as client:
        client.post("/api/login", json={"token": token})
        assert client.get("/api/me").status_code == 200
        path.write_text(FILE)
        assert client.get("/api/me").status_code == 401
    assert (home / SECRET_NAME).stat().st_mode & 0o777 == 0o600


def test_a_session_ends_however_often_its_cookie_is_made_anew(home: Path) -> None:
    """Some hours after the login, whatever was written into it since: groups are those that the login said."""
    token = add_token(home / FILE_NAME, "ci", ["editor"], "viewer", None)
    settings = AccessSettings(by="tokens,oidc", session_hours=2, **OIDC.model_dump(exclude={"by", "session_hours"}))
    began, hour = NOW, timedelta(hours=1)

    def seen(session: dict[str, Any], at: datetime) -> Viewer | None:
        scope = {"type": "http", "headers": [], "session": session}
        return Doors(settings, People(home / FILE_NAME), lambda: at)(HTTPConnection(scope))

    for who in ({"token": hashed(token)}, {"person": "ana@example.com", "groups": []}):
        session = {**who, "began": began.timestamp()}
        assert seen(session, began + 1.9 * hour) is not None
        assert seen(session, began + 2 * hour) is None
        assert seen(dict(who), began) is None


def test_over_https_the_cookie_is_for_https_alone(home: Path) -> None:
    """As the public address says, because the proxy speaks HTTP to the page."""
    token = add_token(home / FILE_NAME, "ci", ["editor"], "viewer", None)
    with client_of(AccessSettings(by="tokens", url="https://keeprate.example.com"), home) as client:
        assert "secure" in client.post("/api/login", json={"token": token}).headers["set-cookie"]


def test_a_proxy_is_believed_only_where_it_is(home: Path) -> None:
    """Its header from anywhere else is what somebody wrote; sent twice, one of them may be."""
    settings = AccessSettings(by="proxy", proxy_peers="10.1.0.0/16", proxy_groups_header="x-groups")
    named = {"x-forwarded-email": "ana@example.com"}
    with client_of(settings, home, "10.1.2.3") as client:
        assert client.get("/api/who", headers=named).text == "ana@example.com"
        assert client.get("/api/who").status_code == 401
        assert client.get("/api/who", headers={"x-forwarded-email": "eve@example.com"}).status_code == 403
        lead = {"x-forwarded-email": "lee@example.com", "x-groups": "others, leads"}
        assert client.get("/api/me", headers=lead).json()["roles"] == {"*": "viewer"}
        twice = [("x-forwarded-email", "ana@example.com"), ("x-forwarded-email", "eve@example.com")]
        assert client.get("/api/who", headers=twice).status_code == 401
        added = [*lead.items(), ("x-groups", "")]
        assert client.get("/api/who", headers=added).status_code == 401
    for elsewhere in ("10.2.0.1", "127.0.0.1", "unix"):
        with client_of(settings, home, elsewhere) as client:
            assert client.get("/api/who", headers=named).status_code == 401


def test_what_a_proxy_says_is_utf8(home: Path) -> None:
    """A name of any alphabet is somebody's; bytes that are no text are nobody's."""
    settings = AccessSettings(by="proxy", proxy_peers="10.1.0.0/16", proxy_groups_header="x-groups")
    doors = Doors(settings, People(home / FILE_NAME))

    def known(name: bytes, groups: bytes = b"leads") -> Viewer | None:
        headers = [(b"x-forwarded-email", name), (b"x-groups", groups)]
        return doors(HTTPConnection({"type": "http", "headers": headers, "client": ("10.1.2.3", 1)}))

    zoe = known("zoë@example.com".encode())
    assert zoe is not None
    assert (zoe.name, dict(zoe.roles)) == ("zoë@example.com", {"*": "viewer"})
    assert known(b"zo\xeb@example.com") is None
    assert known(b"ana@example.com", b"leads,\xff") is None


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({**JSON, "sec-fetch-site": "same-origin"}, 200),
        ({**JSON, "sec-fetch-site": "cross-site"}, 403),
        ({**JSON, "sec-fetch-site": "same-site"}, 403),
        ({**JSON, "sec-fetch-site": "none"}, 403),
        ({**JSON, "origin": "http://testserver"}, 200),
        ({**JSON, "origin": "http://evil.example"}, 403),
        ({**JSON, "origin": "http://testserver.evil.example"}, 403),
        ({**JSON, "origin": "null"}, 403),
        ({**JSON, "cookie": "keeprate=x"}, 403),
        (JSON, 200),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "multipart/form-data; boundary=x"}, 415),
        ({}, 415),
    ],
)
def test_nothing_is_changed_for_a_page_elsewhere(home: Path, headers: dict[str, str], status: int) -> None:
    """Neither by a form nor by a script, whatever the browser tells; a program without a browser may write."""
    with client_of(AccessSettings(), home) as client:
        assert client.post("/api/write/editor", content=b"{}", headers=headers).status_code == status


@pytest.mark.parametrize(
    ("wanted", "path"),
    [
        ("/versions?period=7d", "/versions?period=7d"),
        ("", "/"),
        ("https://evil.example", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/a\r\nset-cookie: x", "/"),
        ("javascript:alert(1)", "/"),
    ],
)
def test_a_login_leads_to_the_page_alone(wanted: str, path: str) -> None:
    """Whatever the address says."""
    assert own_path(wanted) == path


def test_what_anybody_may_ask_for_is_a_login_and_its_looks() -> None:
    """A path that is added here is open to everybody who reaches the port."""
    assert {
        *("/healthz", "/login", "/login/oidc", "/login/callback", "/api/login"),
        *("/login.js", "/page.css", "/icon.svg"),
    } == PUBLIC


def test_without_texts_no_field_is_left_that_may_hold_one() -> None:
    """Messages, comments, corrections, attributes and names of documents go; what is counted stays."""
    event = {"type": "edit", "app": "a", "distance": 3, "comment": "x", "corrected_text": "x", "attributes": {"x": "x"}}
    generation = {"type": "generation", "app": "a", "model": "m", "input": [{"content": "x"}], "context_sources": ["x"]}
    found = {"generation": generation, "events": [generation, event], "more": False, "changes": [{"pieces": []}]}
    shown = without_texts(found | {"chain": [generation], "withheld": False})
    assert shown["generation"] == {"type": "generation", "app": "a", "model": "m"}
    assert shown["events"][1] == {"type": "edit", "app": "a", "distance": 3}
    assert shown["chain"] == [shown["generation"]]
    assert (shown["changes"], shown["withheld"]) == ([], True)
    assert without_texts(found | {"generation": None, "chain": []})["generation"] is None


def test_doors_that_are_closed_let_nobody_in(home: Path) -> None:
    """A token where only the proxy is asked is no token."""
    token = add_token(home / FILE_NAME, "ci", ["editor"], "viewer", None)
    doors = Doors(AccessSettings(by="proxy", proxy_peers="10.0.0.1"), People(home / FILE_NAME))
    scope = {"type": "http", "headers": [(b"authorization", f"Bearer {token}".encode())], "client": ("10.0.0.1", 1)}
    assert doors(Request(scope)) is None


OIDC = AccessSettings(
    by="oidc", url="https://k.example", oidc_issuer="https://id.example", oidc_client_id="k", oidc_name_claim="email"
)


def test_a_provider_names_people_and_their_groups() -> None:
    """One group may come as a text; what is no text is no group."""
    assert said({"email": "a@x", "groups": ["b", 3, "c"]}, OIDC) == ("a@x", ["b", "c"])
    assert said({"email": "a@x", "email_verified": True, "groups": "b"}, OIDC) == ("a@x", ["b"])
    assert said({"email": "a@x"}, OIDC) == ("a@x", [])


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"sub": "1"}, "the claim email is not there"),
        ({"email": ""}, "the claim email is not there"),
        ({"email": ["a@x"]}, "the claim email is not there"),
        ({"email": "a@x", "email_verified": False}, "not verified"),
        ({"email": "a@x", "groups": [str(each) for each in range(101)]}, "101 groups are more than a session holds"),
        ({"email": "a@x", "groups": ["g" * 2001]}, "more than a session holds"),
    ],
)
def test_a_provider_that_names_nobody_for_certain_lets_nobody_in(claims: dict[str, Any], why: str) -> None:
    """And a session that a browser would drop is said, rather than taken for fewer groups."""
    with pytest.raises(LoginError, match=why):
        said(claims, OIDC)


def test_where_the_provider_is_the_only_way_a_login_goes_there(home: Path) -> None:
    """Unless there is something to say; where it does not answer, that is said, and nobody is let in."""
    with client_of(OIDC, home) as client:
        assert (
            client.get("/login?next=/why%3Fperiod%3D7d").headers["location"] == "./login/oidc?next=%2Fwhy%3Fperiod%3D7d"
        )
        assert client.get("/login?said=failed").status_code == 200
        assert client.post("/api/login", json={"token": "kp_x"}).status_code == 404
    gone = OIDC.model_copy(update={"oidc_issuer": "http://127.0.0.1:9"})
    with client_of(gone, home) as client:
        assert client.get("/login/oidc").headers["location"] == "../login?said=provider"
        assert "does not answer" in client.get("/login?said=provider").text
