"""Kafka's jars are fetched once, whole, and whoever loses a race uses the winner's."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from keeprate.deploy.local.broker import fetch_jars, jars_path, why_not_kafka
from keeprate.deploy.local.process import ProcessError

_FETCH = """#!/bin/sh
for argument in "$@"; do case "$argument" in -DoutputDirectory=*) out="${argument#*=}" ;; esac; done
mkdir -p "$out" && sleep 0.2 && echo jar > "$out/kafka.jar"
"""


@pytest.fixture
def bin_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a directory for programs that come before the machine's own."""
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{directory}{os.pathsep}{os.environ['PATH']}")
    return directory


def _program(path: Path, script: str) -> None:
    path.write_text(script)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_racing_processes_end_with_one_whole_copy(bin_dir: Path) -> None:
    """Each fetches for itself, the first to finish is kept, and nothing half done is left."""
    _program(bin_dir / "mvn", _FETCH)
    with ThreadPoolExecutor(3) as pool:
        assert set(pool.map(lambda _: fetch_jars(), range(3))) == {jars_path()}
    assert [file.name for file in jars_path().parent.iterdir()] == [jars_path().name]
    assert (jars_path() / "kafka.jar").read_text() == "jar\n"


def test_a_failed_fetch_says_what_maven_said_and_leaves_nothing(bin_dir: Path) -> None:
    """The next try starts clean."""
    _program(bin_dir / "mvn", "#!/bin/sh\necho no route to the repository; exit 1\n")
    with pytest.raises(ProcessError, match="no route to the repository"):
        fetch_jars()
    assert list(jars_path().parent.iterdir()) == []


def test_the_cache_is_named_after_the_version_and_the_pom() -> None:
    """Another pom is another directory, so an old cache is never taken for the new one."""
    assert jars_path().name.startswith("kafka-4.")
    assert len(jars_path().name.rpartition("-")[2]) == 12


@pytest.mark.parametrize(
    ("java", "reason"),
    [
        (None, "there is none: install"),
        ('openjdk version "11.0.2" 2019', "is 11: install a newer one"),
        ('java version "1.8.0_292"', "is 1: install a newer one"),
        ('openjdk version "21.0.1" 2023', "no mvn to fetch it with: install Maven"),
    ],
)
def test_what_is_missing_is_named_with_its_remedy(
    bin_dir: Path, monkeypatch: pytest.MonkeyPatch, java: str | None, reason: str
) -> None:
    """One sentence that a person can act on."""
    monkeypatch.setenv("PATH", str(bin_dir))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    if java is not None:
        _program(bin_dir / "java", f"#!/bin/sh\necho '{java}' >&2\n")
    said = why_not_kafka()
    assert said is not None
    assert reason in said
