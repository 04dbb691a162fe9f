"""What is built and installed is what is tracked, and the base install is light."""

import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("producers", "streams", "sinks", "schemas", "deploy")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# What an app that only emits must never import: it is not installed there.
EXTRAS = (
    "faust",
    "rocksdict",
    "clickhouse_connect",
    "chdb",
    "starlette",
    "uvicorn",
    "plotly",
    "prometheus_client",
    "typer",
    "rich",
    "msgspec",
    "markdown_it",
    "grafana_foundation_sdk",
)


def _tracked() -> set[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *FOLDERS],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return {name for name in listed.stdout.splitlines() if (ROOT / name).exists()}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    # hatchling's own entry point: the locked version builds, and nothing is fetched.
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(out)], cwd=ROOT, check=True, capture_output=True
    )
    return out


def test_the_wheel_holds_every_tracked_file_of_the_folders(built: Path) -> None:
    """No file is forgotten, and none comes along that git does not know; the JavaScript package is not for pip."""
    (wheel,) = built.glob("*.whl")
    packed = {
        name.removeprefix("keeprate/") for name in zipfile.ZipFile(wheel).namelist() if name.startswith("keeprate/")
    }
    assert packed == {name for name in _tracked() if not name.startswith("producers/js/")}


def test_the_wheel_holds_the_runbook_that_the_page_serves(built: Path) -> None:
    """The document itself: in the tree, a link leads to docs."""
    (wheel,) = built.glob("*.whl")
    packed = zipfile.ZipFile(wheel).read("keeprate/deploy/page/runbook.md")
    assert packed == (ROOT / "docs" / "runbook.md").read_bytes()


def test_the_sdist_holds_the_source_and_what_builds_and_tests_it(built: Path) -> None:
    """The sdist has the folders, the tests, the docs and the lock file."""
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert _tracked() <= names
    assert {"pyproject.toml", "README.md", "LICENSE", "Makefile", "requirements.lock"} <= names


def test_emitting_imports_nothing_beyond_the_base_install() -> None:
    """An app with the base install alone can import the SDK and the contracts."""
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({EXTRAS!r})); "
        "import keeprate.schemas.decode, keeprate.schemas.outcome, keeprate.producers; "
        "from keeprate.producers import Keeprate"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_generated_file_of_tests_imports_nothing_beyond_the_base_install() -> None:
    """What `keeprate cases export --format pytest` writes runs where an app is installed, beside the app."""
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({(*EXTRAS, 'jsonschema', 'urllib3', 'platformdirs')!r})); "
        "import keeprate.deploy.cases.checks, keeprate.deploy.cases.subjects, keeprate.deploy.cases.suite"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_base_install_has_few_dependencies() -> None:
    """Whatever is added to the base is installed in every app: extras exist for the rest."""
    names = {requirement.split(">")[0] for requirement in PROJECT["dependencies"]}
    assert names == {"confluent-kafka", "pydantic", "rapidfuzz"}


def test_the_lock_file_pins_every_package_with_its_hash() -> None:
    """An installer finds an exact version and a hash for each package, and so searches for nothing."""
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pinned = [line for line in lines if line and not line.startswith((" ", "#"))]
    assert pinned
    assert all("==" in line for line in pinned)
    assert sum("--hash=sha256:" in line for line in lines) >= len(pinned)
    assert not [line for line in lines if "://" in line]


def test_every_direct_dependency_is_locked() -> None:
    """Nothing named in pyproject.toml is missing from the lock file."""
    locked = {
        line.split("==")[0].split("[")[0]
        for line in (ROOT / "requirements.lock").read_text().splitlines()
        if "==" in line
    }
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]["dev"]
    wanted = [*PROJECT["dependencies"], *(r for rs in PROJECT["optional-dependencies"].values() for r in rs), *groups]
    names = {name for r in wanted if (name := r.split("[")[0].split(">")[0].split("=")[0].split("<")[0]) != "keeprate"}
    assert names <= locked
