"""The JavaScript package: its own tests pass, and what it shares with Python is the same."""

import json
import os
import subprocess
from pathlib import Path

from tests.javascript import typings, vectors

PACKAGE = Path(__file__).parents[2] / "producers" / "js"


def test_the_packages_own_tests_pass(node: Path) -> None:
    """Types, units, the storage of browsers by a double, processes that are killed, sizes and what is published."""
    tsc = subprocess.run(
        [node, "node_modules/typescript/bin/tsc", "-p", "."], cwd=PACKAGE, capture_output=True, text=True, check=False
    )
    assert tsc.returncode == 0, tsc.stdout
    files = sorted(str(path.relative_to(PACKAGE)) for path in (PACKAGE / "test").glob("*.test.ts"))
    flags = ["--no-warnings", "--test-force-exit", "--test-timeout=60000", "--test-reporter=tap"]
    # Node's runner says less where it believes to be within a test of its own.
    environment = {name: value for name, value in os.environ.items() if name != "NODE_TEST_CONTEXT"}
    done = subprocess.run(
        [node, "--test", *flags, *files],
        cwd=PACKAGE,
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "# fail 0" in done.stdout
    assert "# skipped 0" in done.stdout
    assert "# pass 0" not in done.stdout


def test_the_types_are_those_of_the_schema() -> None:
    """A field that the contract gains is made known by `python -m tests.javascript.typings`."""
    assert typings.PATH.read_text("utf-8") == typings.typings()


def test_the_pairs_of_texts_have_pythons_numbers() -> None:
    """JavaScript is tested by the same file, so both say the same; `python -m tests.javascript.vectors` writes it."""
    assert json.loads(vectors.PATH.read_text("utf-8")) == vectors.vectors()


def test_what_leaves_of_content_is_what_leaves_of_it_in_python() -> None:
    """The same fingerprints with the same salt, and nothing more; JavaScript is tested by the same file."""
    assert json.loads(vectors.CONTENT_PATH.read_text("utf-8")) == vectors.content_vectors()
