"""A browser for tests: Chromium, driven over the pipe of its DevTools protocol, with nothing in between.

A pipe needs no port, no websocket library and no driver to match the browser's version.
"""

import base64
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

FLAGS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
# Chromium reads commands from descriptor 3 and writes answers to 4; subprocess cannot number what it passes on.
_RENUMBER: Final = """
import os, sys
commands, answers = int(sys.argv[1]), int(sys.argv[2])
spare = [os.dup(commands), os.dup(answers)]
while min(spare) < 5:
    spare = [os.dup(each) for each in spare]
os.dup2(spare[0], 3)
os.dup2(spare[1], 4)
os.execvp(sys.argv[3], sys.argv[3:])
"""
_KEYS: Final = {"Enter": ("\r", 13), "Escape": ("", 27), "Tab": ("", 9)}
# What is answered where the page goes while it is asked.
_NAVIGATED: Final = "Inspected target navigated or closed"


class NavigatedError(AssertionError):
    """The page was left before it answered. The next one may be asked."""


class Browser:
    """One Chromium with one page at a time. `problems` holds what its console, its errors and its security policy said.

    profile: where it keeps what pages store, when that is to outlive it; a directory of its own when None.
    """

    def __init__(self, command: str, profile: Path | None = None) -> None:
        self._is_temporary = profile is None
        self._directory = str(profile or tempfile.mkdtemp())
        commands_in, self._commands = os.pipe()
        self._answers, answers_out = os.pipe()
        argv = [sys.executable, "-c", _RENUMBER, str(commands_in), str(answers_out)]
        argv += [command, *FLAGS, f"--user-data-dir={self._directory}", "about:blank"]
        self._process = subprocess.Popen(
            argv,
            pass_fds=(commands_in, answers_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(commands_in)
        os.close(answers_out)
        self._buffer = b""
        self._last_id = 0
        self._session: str | None = None
        self.problems: list[str] = []
        self._attach()

    def _attach(self, apart: bool = False) -> None:
        self._session = None
        # What pages keep, and who is logged in, belongs to a context.
        context = self.call("Target.createBrowserContext") if apart else {}
        self._target = self.call("Target.createTarget", url="about:blank", **context)["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=self._target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        self.resize(1280, 1400)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The result of one DevTools command. Raises AssertionError for a refusal."""
        self._send(method, parameters)
        while True:
            answer = self._next(30)
            if answer.get("id") == self._last_id:
                if answer.get("error", {}).get("message") == _NAVIGATED:
                    raise NavigatedError(method)
                assert "error" not in answer, f"{method}: {answer['error']}"
                return dict(answer["result"])

    def _send(self, method: str, parameters: dict[str, Any]) -> None:
        self._last_id += 1
        message: dict[str, Any] = {"id": self._last_id, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")

    def _next(self, timeout_s: float) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._answers], [], [], timeout_s)
            assert ready, f"Chromium said nothing for {timeout_s} s"
            piece = os.read(self._answers, 1 << 20)
            assert piece, "Chromium ended"
            self._buffer += piece
        line, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        self._note(message.get("method"), message.get("params", {}))
        return message

    def _note(self, method: str | None, event: dict[str, Any]) -> None:
        if method == "Runtime.exceptionThrown":
            details = event["exceptionDetails"]
            self.problems.append(details.get("exception", {}).get("description") or details["text"])
        elif method == "Runtime.consoleAPICalled" and event["type"] in ("error", "warning", "assert"):
            self.problems.append(" ".join(str(each.get("value", each.get("description"))) for each in event["args"]))
        elif method == "Log.entryAdded" and event["entry"]["level"] in ("error", "warning"):
            self.problems.append(f"{event['entry']['text']} {event['entry'].get('url', '')}")

    def open(self, url: str) -> None:
        """Go to an address, and return once its page has loaded."""
        failure = self.call("Page.navigate", url=url).get("errorText")
        assert not failure, f"{url}: {failure}"
        self.wait_for("document.readyState === 'complete'")

    def new_tab(self, *, apart: bool = False) -> tuple[str, str | None]:
        """Open another page and go on in it; what it returns leads back to the one before, by `to_tab`.

        apart: as somebody else's browser, which shares nothing with this one and is in front of them.
        """
        before = self._target, self._session
        self._attach(apart)
        if apart:
            self.call("Emulation.setFocusEmulationEnabled", enabled=True)
        return before

    def to_tab(self, tab: tuple[str, str | None]) -> tuple[str, str | None]:
        """Go on in a page that is open; what it returns leads back."""
        before = self._target, self._session
        self._target, self._session = tab
        return before

    def close_tab(self) -> None:
        """Close the page as a user would, and go on in a new one."""
        closed = self._target
        self._attach()
        self.call("Target.closeTarget", targetId=closed)

    def crash_tab(self) -> None:
        """Kill the page's process, and go on in a new page."""
        self._send("Page.crash", {})
        self._attach()

    def resize(self, width: int, height: int, *, mobile: bool = False) -> None:
        """Give the page a window of this size in CSS pixels."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}
        self.call("Emulation.setDeviceMetricsOverride", **size)

    def prefer(self, scheme: str) -> None:
        """Prefer light or dark."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page; of a promise, what it resolves to."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, expression: str, timeout_s: float = 30) -> Any:
        """The first true value of an expression, asked again and again, also of the page that follows this one.

        Raises AssertionError when there is none.
        """
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            with suppress(NavigatedError):
                if value := self.evaluate(expression):
                    return value
            time.sleep(0.05)
        raise AssertionError(f"never true within {timeout_s} s: {expression}; {self.problems}")

    def text(self, selector: str) -> str:
        """The text of the first element that a selector finds, once there is one."""
        found = f"document.querySelector({json.dumps(selector)})"
        self.wait_for(f"!!{found}")
        return str(self.evaluate(f"{found}.textContent"))

    def press(self, key: str) -> None:
        """Press and let go of a key, as a keyboard would."""
        text, code = _KEYS[key]
        shared = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **shared)
        self.call("Input.dispatchKeyEvent", type="keyUp", **shared)

    def hover(self, x: float, y: float) -> None:
        """Move the pointer there."""
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def screenshot(self, path: Path) -> None:
        """Write what the window shows as a PNG."""
        shot = self.call("Page.captureScreenshot", format="png", optimizeForSpeed=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def kill(self) -> None:
        """Kill the browser with all its processes. What it wrote to a given profile is there for the next."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._commands)
        os.close(self._answers)

    def close(self) -> None:
        """End the browser and forget its own profile."""
        os.close(self._commands)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._answers)
        if self._is_temporary:
            shutil.rmtree(self._directory, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
