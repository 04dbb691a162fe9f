"""A real API server without a cluster: etcd and kube-apiserver as children. Nothing acts on what it has."""

import json
import os
import ssl
import threading
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx

from keeprate.deploy.local.process import ChildProcess, free_port
from tests.certificates import Certificates

_TOKEN: Final = "of-who-may-do-all"
_START_S: Final = 120.0


class ApiServer:
    """It, on loopback, for who has the token in `kubeconfig`. programs: the directory with etcd and kube-apiserver."""

    def __init__(self, programs: Path, directory: Path, certificates: Certificates) -> None:
        self.port, etcd, peers = free_port(), free_port(), free_port()
        self.kubeconfig = directory / "kubeconfig"
        tokens = directory / "tokens"
        tokens.write_text(f"{_TOKEN},admin,admin,system:masters\n")
        self._etcd = ChildProcess("etcd", _etcd(programs, directory, etcd, peers), directory / "etcd.log")
        argv = _server(programs, self.port, etcd, tokens, certificates)
        self._server = ChildProcess("kube-apiserver", argv, directory / "server.log")
        self._client = httpx.Client(
            base_url=f"https://127.0.0.1:{self.port}",
            headers={"Authorization": f"Bearer {_TOKEN}"},
            verify=ssl.create_default_context(cafile=certificates.ca),
            timeout=60,
        )
        self._plurals: dict[str, dict[str, tuple[str, bool]]] = {}
        self._configure(certificates)

    def _configure(self, certificates: Certificates) -> None:
        cluster = {"server": str(self._client.base_url), "certificate-authority": str(certificates.ca)}
        told = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "here", "cluster": cluster}],
            "users": [{"name": "admin", "user": {"token": _TOKEN}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "admin"}}],
            "current-context": "here",
        }
        self.kubeconfig.touch(0o600)
        self.kubeconfig.write_text(json.dumps(told))

    def __enter__(self) -> Self:
        with ExitStack() as started:
            for child in (self._etcd, self._server):
                started.enter_context(child)
            started.callback(self._client.close)
            self._server.wait_ready(self._ready, _START_S)
            self._running = started.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._running.close()

    def _ready(self) -> bool:
        try:
            return self._client.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def get(self, path: str, **params: str) -> dict[str, Any]:
        """What is at a path."""
        answer = self._client.get(path, params=params)
        # So it answers for a moment after it has learned of a kind.
        while answer.status_code == 429:
            time.sleep(float(answer.headers["Retry-After"]))
            answer = self._client.get(path, params=params)
        answer.raise_for_status()
        return dict(answer.json())

    def patch(self, path: str, change: dict[str, Any]) -> None:
        """Change what is at a path. Raises httpx.HTTPStatusError when that is refused."""
        answer = self._client.patch(path, json=change, headers={"Content-Type": "application/merge-patch+json"})
        assert answer.is_success, answer.text

    def create(self, thing: dict[str, Any], namespace: str = "", **params: str) -> httpx.Response:
        """Have an object admitted and kept; with dryRun="All" admitted alone. A field that nobody knows is refused."""
        path = self._collection(thing["apiVersion"], thing["kind"], namespace)
        return self._client.post(path, json=thing, params={"fieldValidation": "Strict", **params})

    def owned_by(self, release: str, namespace: str) -> dict[tuple[str, str], dict[str, Any]]:
        """Every object in a namespace that says it belongs to a release of the chart, by kind and name."""
        found: dict[tuple[str, str], dict[str, Any]] = {}
        for version in self._versions():
            for kind, (plural, namespaced) in self._kinds(version).items():
                if namespaced and plural != "events":
                    path = self._collection(version, kind, namespace)
                    listed = self.get(path, labelSelector=f"app.kubernetes.io/instance={release}")
                    found |= {(kind, each["metadata"]["name"]): each for each in listed["items"]}
        return found

    def _versions(self) -> list[str]:
        groups = self.get("/apis")["groups"]
        return ["v1", *(group["preferredVersion"]["groupVersion"] for group in groups)]

    def knows(self, version: str, kind: str) -> bool:
        """Whether it has a definition of this kind, by now."""
        self._plurals.pop(version, None)
        answer = self._client.get(_root(version))
        return answer.is_success and kind in self._kinds(version)

    def _collection(self, version: str, kind: str, namespace: str) -> str:
        plural, namespaced = self._kinds(version)[kind]
        return f"{_root(version)}/namespaces/{namespace}/{plural}" if namespaced else f"{_root(version)}/{plural}"

    def _kinds(self, version: str) -> dict[str, tuple[str, bool]]:
        if version not in self._plurals:
            listed = self.get(_root(version))["resources"]
            kept = [each for each in listed if "list" in each["verbs"] and "/" not in each["name"]]
            self._plurals[version] = {each["kind"]: (each["name"], each["namespaced"]) for each in kept}
        return self._plurals[version]


class Jobs:
    """What a cluster's controller would say of jobs in a namespace, of which none runs: each has ended well, or not.

    said: the names of those of which it was said, in order. end: what is said of the next ones.
    """

    def __init__(self, server: ApiServer, namespace: str) -> None:
        self.said: list[str] = []
        self.end = "Complete"
        self._server, self._path = server, f"/apis/batch/v1/namespaces/{namespace}/jobs"
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            for job in self._server.get(self._path)["items"]:
                if not job["status"].get("conditions"):
                    self.said.append(job["metadata"]["name"])
                    self._server.patch(f"{self._path}/{job['metadata']['name']}/status", {"status": self._status()})

    def _status(self) -> dict[str, Any]:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        ended = {"type": self.end, "status": "True", "reason": "Said", "message": "of a job that did not run"}
        before = ended | {"type": {"Complete": "SuccessCriteriaMet", "Failed": "FailureTarget"}[self.end]}
        counted = {"succeeded": 1, "completionTime": now} if self.end == "Complete" else {"failed": 1}
        return {"startTime": now, "conditions": [before, ended], **counted}


def _root(version: str) -> str:
    return f"/apis/{version}" if "/" in version else f"/api/{version}"


def _etcd(programs: Path, directory: Path, port: int, peers: int) -> list[str]:
    client, peer = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peers}"
    options = {
        "data-dir": directory / "etcd",
        "listen-client-urls": client,
        "advertise-client-urls": client,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": f"default={peer}",
    }
    return [str(programs / "etcd"), "--unsafe-no-fsync", *(f"--{name}={value}" for name, value in options.items())]


def _server(programs: Path, port: int, etcd: int, tokens: Path, certificates: Certificates) -> list[str]:
    key, certificate = (certificates.directory / f"server.{kind}" for kind in ("key", "pem"))
    options = {
        "etcd-servers": f"http://127.0.0.1:{etcd}",
        "bind-address": "127.0.0.1",
        "advertise-address": "127.0.0.1",
        "endpoint-reconciler-type": "none",
        "secure-port": port,
        "tls-cert-file": certificate,
        "tls-private-key-file": key,
        "service-cluster-ip-range": "10.0.0.0/24",
        "service-account-issuer": "https://127.0.0.1",
        "service-account-key-file": certificate,
        "service-account-signing-key-file": key,
        "authorization-mode": "RBAC",
        "token-auth-file": tokens,
    }
    return [str(programs / "kube-apiserver"), *(f"--{name}={value}" for name, value in options.items())]


def programs() -> Path:
    """Where `make chart` has put etcd, kube-apiserver and the definitions of operators' resources."""
    return Path(os.environ["KEEPRATE_CLUSTER"])
