"""What ships to run elsewhere promises nothing that is not there: image, compose, units of systemd.

No container runs here. What can be held to the code is: copied files, commands and options, ports, variables, jobs.
"""

import configparser
import fnmatch
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
import typer.main
import yaml

from keeprate.deploy.commands.tree import app
from keeprate.deploy.doctor import surroundings

ROOT: Final = Path(__file__).parents[2]
COMPOSE: Final = ROOT / "deploy" / "compose"
IMAGE: Final = ROOT / "deploy" / "images"
POM: Final = ROOT / "deploy" / "local" / "kafka" / "pom.xml"
SERVICES: Final[dict[str, dict[str, Any]]] = yaml.safe_load((COMPOSE / "compose.yaml").read_text("utf-8"))["services"]
OURS: Final = sorted(name for name, service in SERVICES.items() if service["image"].startswith("keeprate:"))
COMMANDS: Final = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def _dockerfile() -> list[str]:
    text = (IMAGE / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def _copied() -> list[str]:
    """What is copied from the repository into the image that builds."""
    lines = [line.split()[1:] for line in _dockerfile() if line.startswith("COPY ") and "--from" not in line]
    return [source for words in lines for source in words[:-1]]


def _versions(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9._-]+)==([^\s;\\]+)", lock.read_text("utf-8"), re.MULTILINE))


def test_the_image_is_built_from_what_its_context_holds() -> None:
    """.dockerignore lets everything through that is copied, and little else."""
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for source in _copied():
        assert (ROOT / source).exists()
        assert any(fnmatch.fnmatch(source, f"{each}*") for each in kept), source


def test_the_image_holds_the_wheel_that_its_copies_make(tmp_path: Path) -> None:
    """Links lead somewhere, and no file is left out: the same wheel as from the whole repository."""
    for source in _copied():
        target = tmp_path / source
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / source).is_dir():
            shutil.copytree(
                ROOT / source, target, symlinks=True, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
            )
        else:
            shutil.copy(ROOT / source, target)
    argv = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "wheel")]
    subprocess.run(argv, cwd=tmp_path, check=True, capture_output=True)
    (wheel,) = (tmp_path / "wheel").glob("*.whl")
    packed = {name.removeprefix("keeprate/") for name in zipfile.ZipFile(wheel).namelist()}
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "schemas", "deploy"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\n")
    assert {name for name in listed if name and (ROOT / name).is_file()} <= packed


@pytest.mark.parametrize("lock", ["images/requirements.lock", "images/build.lock"])
def test_the_image_installs_the_versions_that_are_tested(lock: str) -> None:
    """With hashes, and without the engine, which is not what a cluster needs."""
    tested, installed = _versions(ROOT / "requirements.lock"), _versions(ROOT / "deploy" / lock)
    assert installed.items() <= tested.items()
    assert "chdb-core" not in installed
    assert len(installed) >= 5


def test_the_image_runs_as_nobody_in_particular() -> None:
    """By number, so that a cluster can tell it from root."""
    assert "USER 10001:10001" in _dockerfile()


@pytest.mark.parametrize("name", OURS)
def test_a_service_of_compose_is_a_command_with_its_options(name: str) -> None:
    """Options exist, and every variable is one that is read."""
    service = SERVICES[name]
    command, *arguments = service["command"]
    COMMANDS[command].make_context(command, arguments)
    assert [each.said for each in surroundings.check(service["environment"]) if each.state != "ok"] == []


def _ports(name: str) -> set[int]:
    """What a service's command listens at."""
    command, *arguments = SERVICES[name]["command"]
    context = COMMANDS[command].make_context(command, arguments)
    return {context.params[each] for each in ("port", "metrics_port") if context.params.get(each)}


@pytest.mark.parametrize("name", sorted(set(OURS) - {"topics", "migrate"}))
def test_health_is_asked_for_where_it_is_served(name: str) -> None:
    """A check of another port would call every container ill."""
    (port,) = re.findall(r"127\.0\.0\.1:(\d+)", SERVICES[name]["healthcheck"]["test"][-1])
    assert int(port) in _ports(name)
    published = {int(each.rpartition(":")[2]) for each in SERVICES[name].get("ports", ())}
    assert published <= _ports(name)


def test_what_others_made_is_pinned() -> None:
    """Images and Grafana's plugin by their versions: what was looked at is what comes up in a year."""
    images = [service["image"] for name, service in SERVICES.items() if name not in OURS]
    assert len(images) == 5
    for image in images:
        assert re.fullmatch(r"\$\{[A-Z]+_IMAGE:-[a-z/-]+:v?\d+\.\d+(\.\d+)?\}", image), image
    assert re.fullmatch(r"[a-z-]+ \d+\.\d+\.\d+", SERVICES["grafana"]["environment"]["GF_INSTALL_PLUGINS"])
    # The broker is the very one that tests run on.
    (tested,) = re.findall(r"<artifactId>kafka_2.13</artifactId>\s*<version>([^<]+)", POM.read_text("utf-8"))
    assert SERVICES["kafka"]["image"].endswith(f":{tested}}}")


def test_files_that_are_mounted_are_there() -> None:
    """And what is published is published on this machine alone."""
    for service in SERVICES.values():
        for volume in service.get("volumes", ()):
            if volume.startswith("."):
                assert (COMPOSE / volume.split(":")[0]).exists(), volume
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))


def test_prometheus_scrapes_what_is_served_under_the_names_that_rules_know() -> None:
    """The jobs of the one configuration, with the services of the other."""
    ours = yaml.safe_load((COMPOSE / "prometheus.yml").read_text("utf-8"))
    shipped = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text("utf-8"))
    assert [job["job_name"] for job in ours["scrape_configs"]] == [job["job_name"] for job in shipped["scrape_configs"]]
    for job in ours["scrape_configs"]:
        for target in job["static_configs"][0]["targets"]:
            name, _, port = target.partition(":")
            assert int(port) in _ports(name)


@pytest.mark.prometheus
def test_prometheus_takes_its_configuration(require: Callable[[str], str], tmp_path: Path) -> None:
    """With the rules where compose puts them."""
    shutil.copy(COMPOSE / "prometheus.yml", tmp_path)
    shutil.copy(ROOT / "deploy" / "prometheus" / "rules.yml", tmp_path)
    run = subprocess.run(
        [require("promtool"), "check", "config", str(tmp_path / "prometheus.yml")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr


def test_grafana_asks_the_same_sources_elsewhere() -> None:
    """By the uids that the dashboards go by."""
    shipped = ROOT / "deploy" / "grafana" / "provisioning" / "datasources" / "keeprate.yaml"
    sources = [
        yaml.safe_load(path.read_text("utf-8"))["datasources"] for path in (shipped, COMPOSE / "datasources.yaml")
    ]
    assert [each["uid"] for each in sources[0]] == [each["uid"] for each in sources[1]]


@pytest.mark.parametrize("unit", ["keeprate@.service", "keeprate-migrate.service"])
def test_a_unit_runs_commands_that_exist(unit: str) -> None:
    """`%i` is one of the processes; each ends within its time."""
    path = ROOT / "deploy" / "systemd" / unit
    started = re.findall(r"^ExecStart=/opt/keeprate/bin/keeprate (.*)$", path.read_text("utf-8"), re.MULTILINE)
    assert started
    for line in started:
        command, *arguments = line.split()
        assert command == "%i" or COMMANDS[command].make_context(command, arguments)
    parsed = configparser.RawConfigParser(strict=False)
    parsed.read(path)
    assert parsed["Service"]["NoNewPrivileges"] == "yes"
    assert parsed["Service"]["User"] == "keeprate"
