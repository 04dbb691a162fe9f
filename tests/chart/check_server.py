"""A real API server takes the chart: installed, upgraded, rolled back and removed, and a wrong field is refused.

`make chart` builds etcd and kube-apiserver from their modules and runs this. No controller runs, so no pod does; of a
job the test says what became of it.
"""

import copy
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.certificates import make
from tests.chart.api_server import ApiServer, Jobs, programs
from tests.chart.rendering import ALL, CHART, HELM, LEAST, rendered, said, with_engines

LOCKED: Final = {"pod-security.kubernetes.io/enforce": "restricted"}
"""The strictest of Kubernetes' own rules for pods."""
WORKLOADS: Final = ("Deployment", "StatefulSet", "Job")
_NUMBERS: Final = count()


@pytest.fixture(scope="module")
def server(require: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """It, and it knows the resources of the operators whose definitions are to be had."""
    certificates = make(tmp_path_factory.mktemp("certificates"), require("openssl"))
    with ApiServer(programs(), tmp_path_factory.mktemp("server"), certificates) as server:
        for definition in _definitions():
            answer = server.create(definition)
            assert answer.status_code == 201, answer.text
        for definition in _definitions():
            spec = definition["spec"]
            version, kind = f"{spec['group']}/{spec['versions'][0]['name']}", spec["names"]["kind"]
            _until(partial(server.knows, version, kind), f"{version} {kind}")
        yield server


def _definitions() -> list[dict[str, Any]]:
    """Those that `make chart` fetched, and those of a folder of yours: KEEPRATE_DEFINITIONS."""
    folders = [programs(), *map(Path, filter(None, [os.environ.get("KEEPRATE_DEFINITIONS")]))]
    files = [path for folder in folders for path in sorted(folder.glob("*.yaml"))]
    return [each for path in files for each in yaml.safe_load_all(path.read_text("utf-8")) if each]


def _until(condition: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline_s, f"{what} did not become so"
        time.sleep(0.1)


@pytest.fixture
def namespace(server: ApiServer) -> str:
    """A namespace of the test's own, for restricted pods alone, with the account that a cluster makes in each."""
    name = f"test-{next(_NUMBERS)}"
    metadata = {"name": name, "labels": LOCKED}
    for thing in (
        {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}},
    ):
        answer = server.create(thing, name)
        assert answer.status_code == 201, answer.text
    return name


def _helm(server: ApiServer, namespace: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [HELM, "--kubeconfig", str(server.kubeconfig), "--namespace", namespace, *arguments]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=200)


def _done(run: subprocess.CompletedProcess[str]) -> None:
    assert run.returncode == 0, run.stderr


def _asked_for(things: dict[tuple[str, str], dict[str, Any]]) -> dict[tuple[str, str], Any]:
    """What was asked for, without what the server adds to say when."""
    return {name: thing.get("spec", thing.get("data")) for name, thing in things.items()}


def _objects() -> list[dict[str, Any]]:
    return [*rendered(ALL), *with_engines()]


def _known(server: ApiServer, thing: dict[str, Any]) -> None:
    if not server.knows(thing["apiVersion"], thing["kind"]):
        pytest.skip(f"no definition of {thing['kind']} is to be had here: KEEPRATE_DEFINITIONS names a folder with it")


KINDS: Final = sorted({each["kind"] for each in _objects()})


@pytest.mark.parametrize("kind", KINDS)
def test_every_object_is_admitted_and_a_wrong_field_is_not(server: ApiServer, namespace: str, kind: str) -> None:
    """By the server's own schema of each kind, or the operator's; what is refused is named."""
    things = [each for each in _objects() if each["kind"] == kind]
    _known(server, things[0])
    for thing in things:
        answer = server.create(thing, namespace, dryRun="All")
        assert answer.status_code == 201, answer.text
    wrong = copy.deepcopy(things[0])
    wrong.get("spec", wrong)["noSuchField"] = 1
    answer = server.create(wrong, namespace, dryRun="All")
    assert answer.status_code == 400, answer.text
    assert "noSuchField" in answer.json()["message"]


def test_its_pods_are_let_in_where_pods_are_restricted(server: ApiServer, namespace: str) -> None:
    """Each workload's, by the admission that would meet them; one that might become root is refused there."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "x"}}
    assert server.create(account, namespace).status_code == 201
    workloads = [each for each in rendered(ALL) if each["kind"] in WORKLOADS]
    assert len(workloads) == 7
    for each in workloads:
        pod = _pod(each)
        answer = server.create(pod, namespace, dryRun="All")
        assert answer.status_code == 201, answer.text
        pod["spec"]["securityContext"]["runAsNonRoot"] = False
        refused = server.create(pod, namespace, dryRun="All")
        assert refused.status_code == 403, refused.text
        assert "runAsNonRoot" in refused.json()["message"]


def _pod(workload: dict[str, Any]) -> dict[str, Any]:
    """The pod that its controller would make."""
    spec = copy.deepcopy(workload["spec"]["template"]["spec"])
    for claim in workload["spec"].get("volumeClaimTemplates", ()):
        name = claim["metadata"]["name"]
        spec["volumes"].append({"name": name, "persistentVolumeClaim": {"claimName": name}})
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}


def _next_version(tmp_path: Path) -> Path:
    """The chart as its next release will be, by its numbers."""
    newer = Path(shutil.copytree(CHART, tmp_path / "keeprate"))
    text = (newer / "Chart.yaml").read_text("utf-8").replace("ersion: 0.1.0", "ersion: 0.1.1")
    (newer / "Chart.yaml").write_text(text, "utf-8")
    return newer


def test_it_is_installed_upgraded_rolled_back_and_removed(server: ApiServer, namespace: str, tmp_path: Path) -> None:
    """Topics and tables come first each time; a rollback gives what there was, and at the end nothing is left."""
    with Jobs(server, namespace) as jobs:
        _done(_helm(server, namespace, "install", "x", str(CHART), *said(ALL)))
        first = _asked_for(server.owned_by("x", namespace))
        changed = said(ALL | {"page.enabled": "false", "worker.sessionTimeoutSeconds": "60"})
        _done(_helm(server, namespace, "upgrade", "x", str(_next_version(tmp_path)), *changed))
        second = _asked_for(server.owned_by("x", namespace))
        assert {"x-worker", "x-sink", "x-page"} <= {name for _, name in first}
        assert first.keys() - second.keys() == {("Deployment", "x-page"), ("Service", "x-page")}
        worker = second["StatefulSet", "x-worker"]["template"]["spec"]["containers"][0]
        assert (worker["image"], "60" in worker["args"]) == ("keeprate:0.1.1", True)
        assert jobs.said == ["x-topics", "x-migrate"] * 2
        _done(_helm(server, namespace, "rollback", "x", "1"))
        third = _asked_for(server.owned_by("x", namespace))
        service = "Service", "x-page"
        assert {**third, service: 0} == {**first, service: 0}
        # Migrations go forward only: a rollback runs none.
        assert jobs.said == ["x-topics", "x-migrate"] * 2
        _done(_helm(server, namespace, "uninstall", "x"))
    assert server.owned_by("x", namespace) == {}


def test_a_migration_that_fails_leaves_what_runs_as_it_is(server: ApiServer, namespace: str, tmp_path: Path) -> None:
    """The upgrade says so and changes no process; the next one goes through."""
    with Jobs(server, namespace) as jobs:
        _done(_helm(server, namespace, "install", "x", str(CHART), *said(LEAST)))
        before = _asked_for(server.owned_by("x", namespace))
        newer = str(_next_version(tmp_path))
        jobs.end = "Failed"
        run = _helm(server, namespace, "upgrade", "x", newer, *said(LEAST))
        assert run.returncode != 0
        assert "pre-upgrade hooks failed" in run.stderr
        after = _asked_for(server.owned_by("x", namespace))
        assert {name: thing for name, thing in after.items() if name[0] != "Job"} == before
        jobs.end = "Complete"
        _done(_helm(server, namespace, "upgrade", "x", newer, *said(LEAST)))
        assert _asked_for(server.owned_by("x", namespace)) != before


def test_a_value_that_cannot_be_meant_makes_nothing(server: ApiServer, namespace: str) -> None:
    """The schema of values refuses it before the server is asked for anything."""
    run = _helm(server, namespace, "install", "x", str(CHART), *said(LEAST | {"worker.replicas": "many"}))
    assert run.returncode != 0
    assert "replicas" in run.stderr
    assert server.owned_by("x", namespace) == {}
    assert _helm(server, namespace, "list", "--all", "--short").stdout == ""


def test_what_kubernetes_never_changes_is_refused_and_said(server: ApiServer, namespace: str) -> None:
    """The size of a worker's claim is fixed by its StatefulSet: docs/deploying.md says how to grow it."""
    with Jobs(server, namespace):
        _done(_helm(server, namespace, "install", "x", str(CHART), *said(LEAST)))
        run = _helm(server, namespace, "upgrade", "x", str(CHART), *said(LEAST | {"worker.storage": "40Gi"}))
    assert run.returncode != 0
    assert "StatefulSet" in run.stderr
    assert "field is immutable" in run.stderr
