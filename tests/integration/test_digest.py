"""`keeprate digest`: what changed is listed, what did not is not, and it arrives where it is sent."""

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_string, policy
from http.server import BaseHTTPRequestHandler, HTTPServer
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from keeprate.deploy.commands.read import digest as command
from keeprate.deploy.commands.tree import app
from keeprate.deploy.digest import rendering, words
from keeprate.deploy.digest.gathering import Digest, gather
from keeprate.deploy.monitor.drifting import Detector
from keeprate.sinks.closed import batches, release_verdicts
from keeprate.sinks.closed.batches import BATCH, Count, Labels
from keeprate.sinks.closed.release_verdicts import KeptVerdict
from tests.reading import reading

pytestmark = pytest.mark.clickhouse
START_AT = datetime(2026, 3, 2, tzinfo=UTC)
FALL_AT = START_AT + timedelta(days=30)
NOW = FALL_AT + timedelta(hours=6)
EVERY = 6
"""Batches: in one of so many there is something."""
HOSTILE = "<b>&|v2"
PAGE = "https://keeprate.example.com/"


@pytest.fixture(scope="module")
def digest() -> Iterator[Digest]:
    """Six steady series, of which one falls six hours ago; and a release that is worse."""
    with reading() as client:
        for n in range(6):
            counts = []
            for at in range(0, (NOW - START_AT) // BATCH, EVERY):
                fallen = n == 0 and START_AT + at * BATCH >= FALL_AT
                accepted = 3 if fallen else 5 + at // EVERY % 3
                for language, taken in (("go", 3), ("sql", accepted - 3)):
                    labels = Labels(f"app{n}", "answer", HOSTILE, "m", "s", language)
                    counts.append(Count("acceptance", START_AT + at * BATCH, labels, "accepted", EVERY * taken))
                    counts.append(Count("acceptance", START_AT + at * BATCH, labels, "ignored", EVERY * (10 - taken)))
            batches.store(client, "acceptance", f"app{n}", START_AT, NOW, counts)
        Detector().refresh(client)
        release_verdicts.keep(client, [_verdict("retention", 600, "worse", -0.3), _verdict("flag", 0, "not_yet", None)])
        yield gather(client, FALL_AT - timedelta(days=7), NOW)


def _verdict(metric: str, horizon_s: int, verdict: str, difference: float | None) -> KeptVerdict:
    at = FALL_AT - timedelta(days=1)
    return KeptVerdict(
        app="app1", component="prompt_version", family="answer", version="v4", predecessor="v3", released_at=at,
        metric=metric, horizon_s=horizon_s, method="successor",
        new_trials=100, new_successes=55, old_trials=300, old_successes=255,
        difference=difference, low=difference and difference - 0.05, high=difference and difference + 0.05,
        fell=3.0, rose=0.0, p_value=0.001, verdict=verdict, found_at=at, days_left=1.0, as_of=NOW,
    )  # fmt: skip


def test_what_changed_is_listed_with_its_size_and_time(digest: Digest) -> None:
    """And no other series: five were steady."""
    (change,) = digest.changes
    assert (change.series[0], change.side, digest.series) == ("app0", "fell", 6)
    assert abs(change.since - FALL_AT) <= timedelta(hours=1)
    assert "acceptance fell from 30.0 % to " in words.change(change)
    assert change.is_harm


def test_a_change_says_which_cut_explains_it(digest: Digest) -> None:
    """Only one of the two languages fell."""
    (change,) = digest.changes
    assert re.search(r"since .* UTC; (9\d|10\d) % of it in language sql$", words.change(change)), words.change(change)


def test_what_to_look_at_is_what_got_worse(digest: Digest) -> None:
    """A release that is worse, and a fall."""
    assert [type(each).__name__ for each in digest.to_look_at] == ["KeptVerdict", "Change"]
    assert words.heading(digest) == "Keeprate, 01 Apr 2026: 2 things to look at"


def test_text_says_each_finding_with_a_link(digest: Digest) -> None:
    """In 80 columns but for the links, which show what was found, cut as it was found."""
    text = rendering.as_text(digest, PAGE)
    assert max(len(line) for line in text.splitlines() if PAGE not in line) <= 80
    assert "Worse: v4 keeps 30 pp less than v3 after 10 min (\N{MINUS SIGN}35 to \N{MINUS SIGN}25)" in text
    assert "Not known yet: flagged\n" in text
    assert f"{PAGE}why?app=app1&release=app1%2Fprompt_version%2Fanswer%2Fv4&metric=retention&horizon=600" in text
    assert f"{PAGE}why?app=app0&only=prompt_name%3Danswer&only=prompt_version%3D" in text


def test_html_is_whole_and_names_are_text(digest: Digest) -> None:
    """It loads nothing, and what an app named is no markup."""
    page = rendering.as_html(digest, PAGE)
    root = ElementTree.fromstring(re.sub("<meta [^>]*>", "", page.removeprefix("<!doctype html>\n")))
    assert HOSTILE in "".join(root.itertext())
    assert [each.tag for each in root.iter() if each.tag in ("script", "img", "link", "b")] == []


def test_a_mail_has_both_parts(digest: Digest) -> None:
    """For programs that show HTML and for those that do not."""
    mail = message_from_string(rendering.as_mail(digest, PAGE, "team@example.com"), policy=policy.default)
    assert mail["To"] == "team@example.com"
    assert [part.get_content_type() for part in mail.walk()][1:] == ["text/plain", "text/html"]


def test_a_chat_gets_no_markup_from_names(digest: Digest) -> None:
    """Slack's own signs are escaped."""
    text = rendering.as_chat(digest, PAGE)["text"]
    assert "<b>" not in text
    assert "&lt;b&gt;&amp;\N{BROKEN BAR}v2" in text


def test_names_are_seen_and_lead_nowhere_wherever_a_digest_goes(digest: Digest) -> None:
    """A name that tells everybody, links, turns the direction or ends a line says so; nothing of it is obeyed."""
    name = "<!channel> https://evil.example|v5\u202e\x1b[2J\x00\n*Keeprate*"
    told = replace(digest, releases=[replace(each, version=name) for each in digest.releases])
    chat = rendering.as_chat(told, PAGE)["text"]
    assert "&lt;!channel&gt; https: //evil.example\N{BROKEN BAR}v5\\u202e\\x1b[2J\\x00 *Keeprate*" in chat
    assert set(re.findall("<([^|>]*)[|>]", chat)) == {
        link.replace("&", "&amp;") for _, lines in rendering.sections(told, PAGE) for _, link in lines if link
    }
    for text in (chat, rendering.as_html(told, PAGE), rendering.as_text(told, PAGE)):
        assert not set(text) & set("\u202e\x1b\x00")
    assert "\n*Keeprate*" not in chat


class _Hook(BaseHTTPRequestHandler):
    taken: list[bytes] = []  # noqa: RUF012 - one for the server of this test
    answers = 200

    def do_POST(self) -> None:
        self.taken.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(self.answers)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_a_post_arrives_or_the_command_fails(digest: Digest, capsys: pytest.CaptureFixture[str]) -> None:
    """A webhook that refuses is no success, and its secret address is not shown."""
    with HTTPServer(("127.0.0.1", 0), _Hook) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/secret"
        body = json.dumps(rendering.as_chat(digest, PAGE)).encode()
        command._post(url, body)
        assert json.loads(_Hook.taken[0])["text"].startswith("*Keeprate, 01 Apr 2026")
        _Hook.answers = 404
        with pytest.raises(Exception, match="1"):
            command._post(url, body)
        server.shutdown()
    said = capsys.readouterr()
    assert "answered 404" in said.err
    assert "secret" not in said.out + said.err


def test_options_that_exclude_each_other_are_refused() -> None:
    """Before anything is asked of the store."""
    result = CliRunner().invoke(app, ["digest", "--json", "--mail", "team@example.com"])
    assert result.exit_code == 2
    assert "choose one" in result.output


def test_a_version_says_no_line_of_its_own(digest: Digest) -> None:
    """Whoever names a version with ends of lines in it adds no finding, in a terminal, a mail or a chat."""
    kept = _verdict("retention", 600, "worse", -0.3)
    forged = replace(digest, changes=[], releases=[replace(kept, version="v4\n\nReleases\n  Better: v4\u2028x\ry")])
    plain = replace(digest, changes=[], releases=[kept])
    for form in (rendering.as_text, lambda *given: rendering.as_chat(*given)["text"]):
        # What goes on is set in further than any line that begins.
        counts = [
            sum(not line.startswith(" " * 6) for line in form(each, PAGE).splitlines()) for each in (forged, plain)
        ]
        assert counts[0] == counts[1]
