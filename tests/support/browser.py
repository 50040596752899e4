"""Drive a real Chromium by the WebDriver protocol, and measure what it shows.

Not here: what the page should show (test_page_in_browser.py).
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
MISSING = "no chromium or chromedriver; on Debian: apt install chromium chromium-driver"
WAIT_S = 20
# The key of an element in WebDriver's JSON.
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
TAB, SHIFT, ENTER, SPACE = "\ue004", "\ue008", "\ue007", " "
LEFT, RIGHT, HOME, END = "\ue012", "\ue014", "\ue011", "\ue010"


class Browser:
    """One tab of a browser without a window.

    Attributes:
        logged: Lines of the console since they were last taken.
        requested: Addresses that the tab has asked for.
    """

    def __init__(self, driver: httpx.Client, session: str) -> None:
        self._driver, self._session = driver, session
        self.logged: list[str] = []
        self.requested: list[str] = []

    def call(self, method: str, path: str, **body: Any) -> Any:
        sent = {} if method == "GET" else {"json": body}
        answer = self._driver.request(method, f"/session/{self._session}{path}", **sent)
        value = answer.json()["value"]
        if answer.status_code != 200:
            raise AssertionError(f"{path}: {value['error']}: {value['message']}")
        return value

    def devtools(self, command: str, **parameters: Any) -> Any:
        return self.call("POST", "/goog/cdp/execute", cmd=command, params=parameters)

    def open(self, url: str, *, width: int, height: int, scheme: str, motion: str = "reduce"):
        """Open a page in a window of a size, as a reader who prefers light or dark sees it."""
        self.resize(width, height)
        features = [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": motion},
        ]
        self.devtools("Emulation.setEmulatedMedia", features=features)
        self.call("POST", "/url", url=url)

    def resize(self, width: int, height: int) -> None:
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip

    def leave(self) -> None:
        """Leave the page, and forget what it logged and asked for."""
        self.call("POST", "/url", url="about:blank")
        self.read_logs()
        self.logged.clear()
        self.requested.clear()

    def run(self, script: str, *arguments: Any) -> Any:
        return self.call("POST", "/execute/sync", script=script, args=list(arguments))

    def find(self, selector: str) -> dict[str, str]:
        found = self.call("POST", "/element", using="css selector", value=selector)
        return {ELEMENT: found[ELEMENT]}

    def click(self, selector: str) -> None:
        self.call("POST", f"/element/{self.find(selector)[ELEMENT]}/click")

    def type(self, selector: str, text: str, *, clear: bool = True) -> None:
        """Type into a field, or paste where the text is long."""
        element = self.find(selector)[ELEMENT]
        if clear:
            self.call("POST", f"/element/{element}/clear")
        if len(text) > 200:
            self.run("arguments[0].focus()", self.find(selector))
            self.devtools("Input.insertText", text=text)
        else:
            self.call("POST", f"/element/{element}/value", text=text)

    def press(self, *keys: str) -> None:
        """Press keys one after the other, wherever the focus is."""
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self.call("POST", "/actions", actions=[{"type": "key", "id": "k", "actions": actions}])

    def text(self, selector: str) -> str:
        """Read the text of an element that is shown; empty if there is none."""
        return str(
            self.run("return document.querySelector(arguments[0])?.innerText ?? ''", selector)
        )

    def wait_for(self, condition: Callable[[], Any], what: str = "a condition") -> Any:
        end = time.monotonic() + WAIT_S
        while not (found := condition()):
            if time.monotonic() > end:
                raise AssertionError(f"{what} did not come; the page says: {self.text('body')}")
            time.sleep(0.02)
        return found

    def wait_for_text(self, selector: str, text: str) -> str:
        return str(
            self.wait_for(
                lambda: (found := self.text(selector)) if text in self.text(selector) else "",
                f"{text!r} in {selector}",
            )
        )

    def picture(self, path: Path) -> None:
        """Write the whole page as an image."""
        size = self.devtools("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        found = self.devtools("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(found["data"]))

    def read_logs(self) -> None:
        """Take the console's lines and the addresses of requests from the browser."""
        for entry in self.call("POST", "/se/log", type="browser"):
            self.logged.append(f"{entry['level']} {entry['message']}")
        for entry in self.call("POST", "/se/log", type="performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                self.requested.append(message["params"]["request"]["url"])


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """Run a Chromium while the block runs; all that it keeps is in ``folder``."""
    assert CHROMIUM is not None
    assert DRIVER is not None
    options = {
        "binary": CHROMIUM,
        "args": [
            "--headless=new",
            "--no-sandbox",  # which is not to be had as root; the page is our own
            "--disable-dev-shm-usage",
            "--disable-gpu",
            f"--user-data-dir={folder / 'profile'}",
            "--no-first-run",
            "--hide-scrollbars",
            "about:blank",
        ],
    }
    wanted = {
        "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
    }
    with (folder / "driver.log").open("w+") as log:
        process = subprocess.Popen([DRIVER, "--port=0"], stdout=log, stderr=subprocess.STDOUT)
        try:
            port = _port_of(process, folder / "driver.log")
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as driver:
                answer = driver.post("/session", json={"capabilities": wanted}).json()["value"]
                assert "sessionId" in answer, answer
                try:
                    yield Browser(driver, answer["sessionId"])
                finally:
                    driver.delete(f"/session/{answer['sessionId']}")
        finally:
            process.terminate()
            process.wait(30)


def _port_of(process: subprocess.Popen[bytes], log: Path) -> int:
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end and process.poll() is None:
        for line in log.read_text().splitlines():
            if "started successfully on port" in line:
                return int(line.rstrip(".").rsplit(" ", 1)[-1])
        time.sleep(0.02)
    raise AssertionError(f"chromedriver did not start: {log.read_text()}")
