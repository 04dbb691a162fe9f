"""Importing a repository: what landed, what of it stood at each horizon, and by whom it was written."""

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from keeprate.producers.imports.git import HistoryError, HistorySelection, import_events, standing_lines
from keeprate.producers.imports.languages import language_of
from keeprate.producers.imports.survival import DAY_S
from keeprate.schemas.decode import validate
from keeprate.schemas.events import Event
from tests.repositories import Repository, at_ms, blame, git

DAYS = (1, 7, 30, 90, 365)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """An empty one."""
    return Repository(tmp_path / "project.git")


def events_of(repository: Repository, **selection: Any) -> list[Event]:
    """All events of the repository, each of them valid."""
    steps = import_events(repository.path, HistorySelection("git-project", **selection))
    return [validate(event) for step in steps for event in step.events]


def _story(events: list[Event], sha: str, language: str = "python") -> tuple[int, dict[int, int]]:
    """What a commit landed in a language, and what was left of it by day: in UTF-16 code units."""
    external_id = f"{sha}:{language}"
    [identity] = [event["generation_id"] for event in events if event.get("external_id") == external_id]
    own = [event for event in events if event["generation_id"] == identity]
    [length] = [event["length"] for event in own if event["type"] == "action"]
    checks = [event for event in own if event["type"] == "retention_check"]
    return length or 0, {(check["horizon_s"] or 0) // DAY_S: check["current_length"] or 0 for check in checks}


def test_lines_are_kept_until_they_are_replaced(repository: Repository) -> None:
    """Day by day, and no horizon is reported that the history does not reach."""
    first = repository.commit(0, {"a.py": b"one\ntwo\nthree\n"})
    second = repository.commit(3, {"a.py": b"one\n2\nthree\n"})
    repository.commit(40, {"b.py": b"x\n"})
    shas = repository.write()
    events = events_of(repository)
    assert _story(events, shas[first]) == (14, {1: 14, 7: 10, 30: 10})
    assert _story(events, shas[second]) == (2, {1: 2, 7: 2, 30: 2})


def test_a_check_names_what_was_taken_out(repository: Repository) -> None:
    """The distance is the number of units removed; removed means that nothing is left."""
    repository.commit(0, {"a.py": b"one\ntwo\n"})
    repository.commit(2, {"a.py": b"one\n"})
    repository.commit(20, {"a.py": None})
    repository.commit(400, {"b.py": b"x\n"})
    repository.write()
    checks = [event for event in events_of(repository) if event["type"] == "retention_check"]
    found = [(c.get("status"), c.get("original_length"), c.get("current_length"), c.get("distance")) for c in checks]
    assert found[:3] == [("present", 8, 8, 0), ("present", 8, 4, 4), ("removed", 8, 0, 8)]
    assert [check["elapsed_ms"] for check in checks[:3]] == [day * DAY_S * 1000 for day in DAYS[:3]]


def test_a_rename_keeps_lines(repository: Repository) -> None:
    """Blame follows a renamed file, with or without a change in it; the language stays that of the writing."""
    body = b"".join(b"line %d\n" % number for number in range(20))
    first = repository.commit(0, {"a.py": body})
    repository.rename(2, "a.py", "b.pyx")
    repository.commit(3, {"b.pyx": None, "c.txt": body.replace(b"line 3\n", b"")})
    repository.commit(10, {"d.py": b"x\n"})
    shas = repository.write()
    assert _story(events_of(repository), shas[first]) == (len(body), {1: len(body), 7: len(body) - 7})


def test_a_swap_of_names_rewrites_both(repository: Repository) -> None:
    """A rename is one only where the old name is gone, as for blame; no lines are counted twice or lost."""
    one, two = (b"".join(b"%s %d\n" % (name, number) for number in range(20)) for name in (b"one", b"two"))
    repository.commit(0, {"a.py": one})
    repository.commit(1, {"b.py": two})
    repository.commit(2, {"a.py": two + b"more\n", "b.py": one + b"more\n"})
    shas = repository.write()
    assert _agrees_with_blame(repository, shas[3])


def test_a_revert_owns_what_it_brings_back(repository: Repository) -> None:
    """The removed lines are lost for their first author, and new for the one who reverts."""
    first = repository.commit(0, {"a.py": b"one\ntwo\n"})
    repository.commit(2, {"a.py": b"one\n"})
    revert = repository.commit(4, {"a.py": b"one\ntwo\n"})
    repository.commit(20, {"b.py": b"x\n"})
    shas = repository.write()
    events = events_of(repository)
    assert _story(events, shas[first]) == (8, {1: 8, 7: 4})
    assert _story(events, shas[revert]) == (4, {1: 4, 7: 4})


def test_a_branch_lands_with_its_merge(repository: Repository) -> None:
    """Its authors are kept, the clock starts at the merge, and what was replaced before was never there."""
    base = repository.commit(0, {"a.py": b"one\n"})
    draft = repository.commit(1, {"b.py": b"draft\nkept\n"}, [base], "Grace <grace@example.org>")
    final = repository.commit(5, {"b.py": b"final\nkept\n"}, [draft], "Grace <grace@example.org>")
    main = repository.commit(6, {"a.py": b"one\ntwo\n"}, [base])
    repository.commit(8, {"b.py": b"final\nkept\n"}, [main, final])
    repository.commit(16, {"c.py": b"x\n"})
    shas = repository.write()
    events = events_of(repository)
    assert _story(events, shas[draft]) == (5, {1: 5, 7: 5})
    assert _story(events, shas[final]) == (6, {1: 6, 7: 6})
    accepts = [e["occurred_at"] for e in events if e["type"] == "action"]
    assert accepts == [at_ms(day) for day in (0, 6, 8, 8, 16)]
    assert not [event for event in events if event.get("external_id") == f"{shas[5]}:python"]


def test_a_merge_owns_only_its_own_lines(repository: Repository) -> None:
    """A conflict's resolution is the merge's; the lines of either side stay theirs."""
    base = repository.commit(0, {"a.py": b"1\n2\n3\n"})
    ours = repository.commit(1, {"a.py": b"1\nours\n3\n"}, [base])
    theirs = repository.commit(2, {"a.py": b"1\ntheirs\n3\nlast\n"}, [base])
    merge = repository.commit(3, {"a.py": b"1\nboth\n3\nlast\n"}, [ours, theirs])
    repository.commit(5, {"c.py": b"x\n"})
    shas = repository.write()
    events = events_of(repository)
    assert _story(events, shas[merge]) == (5, {1: 5})
    assert _story(events, shas[theirs]) == (5, {1: 5})
    assert _agrees_with_blame(repository, shas[merge])


def test_binary_files_are_nobodys(repository: Repository) -> None:
    """They count for nothing, and text that becomes binary is gone; a file that becomes text does no harm."""
    first = repository.commit(0, {"a.py": b"one\ntwo\n", "b.bin": b"\0\1\2\n" * 9})
    repository.commit(2, {"a.py": b"\0binary\n", "b.bin": b"\0\1\2\n" * 7})
    repository.commit(9, {"a.py": b"text\nagain\n"})
    repository.commit(10, {"a.py": b"text\nagain\nmore\n"})
    repository.commit(20, {"b.bin": None})
    shas = repository.write()
    events = events_of(repository)
    assert _story(events, shas[first]) == (8, {1: 8, 7: 0})
    assert not [event for event in events if event.get("language") == "other"]
    assert _story(events, shas[4])[0] == 5


def test_line_ends_are_not_content(repository: Repository) -> None:
    """A file that changes from CRLF to LF, or gains its last line end, keeps all of its lines and lengths."""
    first = repository.commit(0, {"a.py": b"one\r\ntwo\r\nthree"})
    repository.commit(2, {"a.py": b"one\ntwo\nthree\n"})
    repository.commit(9, {"b.py": b"x\n"})
    shas = repository.write()
    assert _story(events_of(repository), shas[first]) == (14, {1: 14, 7: 14})


def test_lengths_are_utf_16_code_units(repository: Repository) -> None:
    """An astral character has two; bytes that are not UTF-8 count one each."""
    first = repository.commit(0, {"a.py": "naïve 🙂\n".encode()})
    second = repository.commit(1, {"b.py": "café\n".encode("latin-1")})
    shas = repository.write()
    events = events_of(repository)
    assert _story(events, shas[first])[0] == 9
    assert _story(events, shas[second])[0] == 5


def test_lines_that_look_like_a_patch_are_content(repository: Repository) -> None:
    """A patch stored in a repository does not confuse the reading of patches."""
    body = b"diff --git a/x b/x\n@@ -1 +1 @@\n--- a\n+++ b\n\\ No newline at end of file\n\0"[:-1]
    first = repository.commit(0, {"fix.patch": body, 'we"ird na\tme ü.py': b"x\n", "a b/c d.py": b"y\n"})
    repository.commit(2, {"fix.patch": None, "a b/c d.py": b"z\n"})
    repository.commit(3, {"e.py": b"x\n"})
    shas = repository.write()
    events = events_of(repository)
    assert _story(events, shas[first], "other") == (len(body), {1: len(body)})
    assert _story(events, shas[first]) == (4, {1: 4})


def test_clocks_that_run_backwards_do_not_lose_checks(repository: Repository) -> None:
    """On the branch, time stands still until it catches up."""
    repository.commit(10, {"a.py": b"one\n"})
    repository.commit(2, {"b.py": b"two\n"})
    repository.commit(30, {"c.py": b"x\n"})
    repository.write()
    events = events_of(repository)
    assert [e["occurred_at"] for e in events if e["type"] == "action"] == [at_ms(10), at_ms(10), at_ms(30)]
    assert [e["occurred_at"] for e in events if e["type"] == "generation"] == [at_ms(10), at_ms(2), at_ms(30)]


def test_a_suggestion_is_a_commit_in_a_language(repository: Repository) -> None:
    """Files of one language are one suggestion, and another language is another."""
    repository.commit(
        0, {"a.py": b"one\n", "b.py": b"two\n", "c.go": b"three\n"}, message="Co-authored-by: Claude <n@o>"
    )
    repository.write()
    generations = [event for event in events_of(repository) if event["type"] == "generation"]
    assert sorted((g.get("language") or "", g.get("model"), g.get("variant")) for g in generations) == [
        ("go", "claude", "assistant"),
        ("python", "claude", "assistant"),
    ]


def test_twice_gives_the_same_events(repository: Repository) -> None:
    """With the same ids, so the second import adds nothing; another app's ids differ."""
    repository.commit(0, {"a.py": b"one\n"})
    repository.commit(9, {"a.py": b"two\n"})
    repository.write()
    events = events_of(repository)
    assert events_of(repository) == events
    assert len({event["event_id"] for event in events}) == len(events)


def test_a_longer_history_only_appends(repository: Repository) -> None:
    """What was settled stays settled, so an import goes on where it ended."""
    for day in range(0, 60, 3):
        repository.commit(day, {"a.py": b"".join(b"%d\n" % (n * (day % 7)) for n in range(day % 11))})
    shas = repository.write()
    early = [
        validate(event)
        for step in import_events(repository.path, HistorySelection("git-project", branch=shas[12]))
        for event in step.events
    ]
    assert events_of(repository)[: len(early)] == early


def test_a_sample_is_part_of_the_whole(repository: Repository) -> None:
    """The same commits each time, with all of their checks."""
    for day in range(40):
        repository.commit(day, {f"{day}.py": b"x\n"})
    repository.write()
    whole, half = events_of(repository), events_of(repository, sample=0.5)
    assert 0 < len(half) < len(whole)
    chosen = {event["generation_id"] for event in half}
    assert half == [event for event in whole if event["generation_id"] in chosen]
    assert not events_of(repository, since_ms=at_ms(40))
    assert events_of(repository, since_ms=at_ms(39))


@pytest.mark.parametrize("seed", range(12))
def test_it_agrees_with_blame(repository: Repository, seed: int) -> None:
    """Random histories with branches, merges, renames, moves and deletions: line by line, at the tip."""
    marks = _random_history(repository, random.Random(seed))
    shas = repository.write()
    assert _agrees_with_blame(repository, shas[marks])


def _random_history(repository: Repository, rng: random.Random) -> int:
    trees: dict[int, dict[str, bytes]] = {}
    numbers = iter(range(10_000))
    for step in range(40):
        tips = list(trees)
        parents = [] if not tips else [rng.choice(tips[-4:])]
        if len(tips) > 4 and rng.random() < 0.3:
            parents.append(rng.choice([tip for tip in tips[-6:] if tip != parents[0]]))
        tree = dict(trees[parents[0]]) if parents else {}
        if len(parents) == 2:
            tree |= {path: content for path, content in trees[parents[1]].items() if rng.random() < 0.5}
        before = dict(trees[parents[0]]) if parents else {}
        _edit(tree, rng, numbers)
        files = {path: tree.get(path) for path in {*before, *tree} if before.get(path) != tree.get(path)}
        trees[repository.commit(step, files, parents)] = tree
    return max(trees)


def _edit(tree: dict[str, bytes], rng: random.Random, numbers: Any) -> None:
    for _ in range(rng.randint(1, 3)):
        path = rng.choice([*tree, f"f{next(numbers)}.py"])
        lines = tree.get(path, b"").splitlines(keepends=True)
        at = rng.randint(0, len(lines))
        lines[at : at + rng.choice((0, 0, 1, 3))] = [b"line %d\n" % next(numbers) for _ in range(rng.randint(0, 6))]
        tree[path] = b"".join(lines) or b"only\n"
        if rng.random() < 0.15:
            # Always to the same name: a file that becomes two on two branches is where git diff and git blame differ.
            tree[f"moved/{path}"] = tree.pop(path)
        elif rng.random() < 0.1 and len(tree) > 1:
            del tree[path]


def _agrees_with_blame(repository: Repository, tip: str) -> bool:
    expected = Counter((sha, language_of(path)) for sha, path, _ in blame(repository.path, tip))
    found = standing_lines(repository.path, tip)
    assert sum(found.values()) == sum(expected.values())
    assert Counter({sha: n for (sha, _), n in found.items()}) == Counter({sha: n for (sha, _), n in expected.items()})
    return True


def test_a_shallow_clone_is_refused(repository: Repository, tmp_path: Path) -> None:
    """Its first commit would own everything; the remedy is named."""
    repository.commit(0, {"a.py": b"one\n"})
    repository.commit(1, {"a.py": b"two\n"})
    repository.write()
    git(tmp_path, "clone", "--quiet", "--bare", "--depth=1", f"file://{repository.path}", "shallow.git")
    with pytest.raises(HistoryError, match="unshallow"):
        list(import_events(tmp_path / "shallow.git", HistorySelection("git-project")))


def test_what_is_not_a_repository_is_refused(tmp_path: Path) -> None:
    """With git's own words."""
    with pytest.raises(HistoryError, match="not a git repository"):
        list(import_events(tmp_path, HistorySelection("git-project")))


def test_missing_objects_are_named(repository: Repository) -> None:
    """An incomplete clone fails with its remedy, and not with half of a history taken for the whole."""
    repository.commit(0, {"a.py": b"one\n"})
    repository.commit(1, {"a.py": b"two\n"})
    shas = repository.write()
    blob = git(repository.path, "rev-parse", f"{shas[1]}:a.py").decode().strip()
    _remove_object(repository.path, blob)
    with pytest.raises(HistoryError, match="refetch"):
        list(import_events(repository.path, HistorySelection("git-project")))


def _remove_object(repository: Path, name: str) -> None:
    packs = list((repository / "objects" / "pack").glob("*.pack"))
    content = [pack.read_bytes() for pack in packs]
    for file in (repository / "objects" / "pack").iterdir():
        file.unlink()
    for pack in content:
        git(repository, "unpack-objects", "-q", stdin=pack)
    (repository / "objects" / name[:2] / name[2:]).unlink()
