"""`keeprate access` and what `keeprate doctor` says of the page: who may see what, in words."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from keeprate.deploy.commands.tree import app
from keeprate.deploy.doctor.page import check, opened
from keeprate.deploy.page.access.people import FILE_NAME, Allowed
from keeprate.deploy.page.access.settings import AccessSettings

NOW = datetime(2026, 11, 28, tzinfo=UTC)
TOKENS = AccessSettings(by="tokens")


def run(home: Path, *words: str, code: int = 0) -> str:
    """What the command prints, with a data directory of its own."""
    result = CliRunner().invoke(app, ["access", *words], env={"KEEPRATE_DATA_DIR": str(home), "KEEPRATE_ACCESS_BY": ""})
    assert result.exit_code == code, result.output
    return result.output


def test_a_token_is_made_shown_once_and_listed(tmp_path: Path) -> None:
    """With its role and its apps; the list shows what everybody may, in eighty columns, and no token."""
    made = json.loads(run(tmp_path, "token", "ci", "--app", "editor", "--app", "support", "--json"))
    assert made["token"].startswith("kp_")
    said = run(tmp_path, "token", "lead", "--app", "*", "--role", "admin", "--expires", "2027-12-31")
    assert "KEEPRATE_ACCESS_BY=tokens" in said
    lines = run(tmp_path, "list").splitlines()
    assert lines == [
        "viewer   token of ci: editor, support",
        "admin    token of lead: every app, until 2027-12-31",
    ]
    assert [each["apps"] for each in json.loads(run(tmp_path, "list", "--json"))] == [["editor", "support"], ["*"]]
    assert made["token"] not in (tmp_path / FILE_NAME).read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--app", "no app"], "--app: 'no app' is none: give letters"),
        (["--app", "editor", "--expires", "soon"], "--expires: 'soon' is no day"),
    ],
)
def test_what_no_entry_may_be_is_refused(tmp_path: Path, words: list[str], said: str) -> None:
    """With the option, and before the file is touched."""
    assert said in run(tmp_path, "token", "ci", *words, code=1)
    assert not (tmp_path / FILE_NAME).exists()


def test_the_doctor_says_what_is_open_to_whom(tmp_path: Path) -> None:
    """By app and role; that everything is open where nobody is asked, and that nothing is where nobody has a role."""
    (open_,) = check(AccessSettings(), tmp_path)
    assert (open_.state, "every app" in open_.said) == ("note", True)
    (nobody,) = check(TOKENS, tmp_path)
    assert (nobody.state, nobody.said) == ("fault", "by tokens, and nobody has a role: nobody sees anything")
    entries = [
        Allowed(who="ana", apps=["editor"], role="reviewer"),
        Allowed(who="bo", apps=["editor"], role="viewer"),
        Allowed(who="cy", apps=["editor"], role="viewer"),
        Allowed(group="leads", apps=["*"], role="admin"),
        Allowed(who="gone", apps=["shop"], role="viewer", expires=datetime(2026, 1, 1, tzinfo=UTC)),
    ]
    found = [each.said for each in opened(TOKENS, entries, NOW)]
    assert found[1:] == ["every app: 1 admin by group", "editor: 1 reviewer, 2 viewers"]
    plain = AccessSettings(by="tokens", url="http://keeprate.example.com")
    assert [each.state for each in opened(plain, entries, NOW)][-1] == "note"


def test_the_doctor_finds_a_file_that_others_may_change(tmp_path: Path) -> None:
    """Or one that cannot be read."""
    path = tmp_path / FILE_NAME
    path.write_text('[[allow]]\nwho = "ana"\napps = ["editor"]\nrole = "viewer"\n')
    path.chmod(0o620)
    assert "chmod go-w" in next(check(TOKENS, tmp_path)).remedy
    path.write_text("[[allow]]\n")
    (broken,) = check(TOKENS, tmp_path)
    assert broken.state == "fault"
