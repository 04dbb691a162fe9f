"""Who speaks to the collector: the hostile app and the innocent one, each with a key of its own, at the same time."""

import json
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

import httpx

from keeprate.deploy.local.process import ChildProcess, free_port
from keeprate.producers.collector.gate.keys import FILE_NAME, Keys
from keeprate.schemas.decode import encode
from keeprate.schemas.events import Event
from tests.collecting import NO_TLS
from tests.fault.content.grammar import HOSTILE
from tests.fault.content.innocent import INNOCENT
from tests.fault.content.requests import Request
from tests.fault.content.trial import ContentTrial

_TIMEOUT_S: Final = 120.0
_INNOCENT_BATCH: Final = 20


@dataclass
class Answers:
    """What the collector answered.

    accepted: events that it says are in Kafka. spans: of those that nothing speaks against, the ones it took.
    wrong: what is wrong with the answers.
    """

    statuses: list[tuple[str, int]] = field(default_factory=list)
    accepted: int = 0
    spans: list[tuple[str, str]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


class Clients:
    """A collector of a trial's own, started, and its two clients."""

    def __init__(self, trial: ContentTrial) -> None:
        self._trial = trial
        port = free_port()
        keys = Keys(trial.directory / FILE_NAME)
        self._keys = {app: keys.create(app)[1] for app in (HOSTILE, INNOCENT)}
        self._url = f"http://127.0.0.1:{port}"
        self.process: ChildProcess = trial.command(
            "collector", brokers=trial.brokers, port=port, data_dir=trial.directory, ack_timeout=60, rate=0
        )
        trial.start(self.process)
        trial.processes.append(self.process)
        trial.wait(self._ready)

    def _ready(self) -> bool:
        try:
            return httpx.get(f"{self._url}/readyz", timeout=5, verify=NO_TLS).status_code == 200
        except httpx.HTTPError:
            return False

    def send(self, requests: Sequence[Request], log: Sequence[Event]) -> Answers:
        """Send the hostile app's requests, and the innocent app's log beside them."""
        answers = Answers()
        with ThreadPoolExecutor(2) as threads:
            beside = threads.submit(self._send_innocent, log)
            self._send_hostile(requests, answers)
            answers.wrong += beside.result()
        return answers

    def _send_innocent(self, log: Sequence[Event]) -> list[str]:
        wrong = []
        with self._client(INNOCENT) as client:
            for begin in range(0, len(log), _INNOCENT_BATCH):
                body = b"[" + b",".join(map(encode, log[begin : begin + _INNOCENT_BATCH])) + b"]"
                answer = client.post("/v1/events", content=body, headers={"content-type": "application/json"})
                if answer.status_code != 202:
                    wrong.append(f"the innocent app gets {answer.status_code}: {answer.text[:200]}")
        self._trial.events += len(log)
        return wrong

    def _send_hostile(self, requests: Iterable[Request], answers: Answers) -> None:
        with self._client(HOSTILE) as client:
            for request in requests:
                self._trial.events += 1
                try:
                    answer = client.post(request.path, content=request.body, headers=list(request.headers))
                except httpx.HTTPError as error:
                    answers.wrong.append(f"{request.what[:200]}: {error!r}")
                    continue
                answers.wrong += _judge(request, answer, answers)

    def _client(self, app: str) -> httpx.Client:
        headers = {"authorization": f"Bearer {self._keys[app]}"}
        return httpx.Client(base_url=self._url, headers=headers, timeout=_TIMEOUT_S, verify=NO_TLS)


def _judge(request: Request, answer: httpx.Response, answers: Answers) -> list[str]:
    """What is wrong with an answer: every item is accepted or refused, with the reason."""
    status, what = answer.status_code, f"{request.path} {request.what[:200]}"
    answers.statuses.append((request.path, status))
    if status >= 500:
        return [f"{what}: {status} {answer.text[:200]}"]
    if status == 200:
        answers.spans += request.spans
    if request.path != "/v1/events" or status not in (202, 207, 422):
        return []
    said = json.loads(answer.content)
    answers.accepted += said["accepted"]
    items = said["accepted"] + said["refused"]
    if request.items is not None and items != request.items:
        return [f"{what}: {request.items} items, and {items} in the answer"]
    if not all(error["reason"] for error in said["errors"]):
        return [f"{what}: refused without a reason"]
    return []
