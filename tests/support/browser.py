"""A real browser without a window, for the tests: what a page looks like, and what it asks for.

Speaks Chromium's DevTools protocol over a pair of pipes, so that no driver is needed. Never
answers for a page that has not finished loading.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import re
import select
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional

from PIL import Image

# CSS pixels: a desktop's window and a phone's.
WIDTHS = (1280, 390)
# OPCACHE_BROWSER names another one.
_NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
_TIMEOUT_S = 120

# Faults of a page as laid out. A table may be wider than the page only in a scroller.
_FAULTS = """(() => {
  const faults = [];
  const page = document.documentElement;
  const right = page.clientWidth;
  if (page.scrollWidth > right)
    faults.push(`the page is ${page.scrollWidth} px wide, the window ${right} px`);
  const scrolls = (e) => e && e !== page && e !== document.body &&
    (['auto', 'scroll'].includes(getComputedStyle(e).overflowX) || scrolls(e.parentElement));
  for (const e of document.querySelectorAll('body *'))
    if (e.getBoundingClientRect().right > right + 1 && !scrolls(e.parentElement))
      faults.push(`<${e.tagName.toLowerCase()}> ends at ` +
        `${Math.round(e.getBoundingClientRect().right)} px, outside a scroller`);
  for (const image of document.images) {
    const name = `image '${image.alt || image.src.slice(0, 40)}'`;
    if (!image.alt) faults.push(`${name} has no alternative text`);
    if (!image.complete || !image.naturalWidth) faults.push(`${name} is not there`);
    else if (image.getBoundingClientRect().width < 100) faults.push(`${name} is too small`);
  }
  return faults;
})()"""


@dataclass(frozen=True)
class Sight:
    """A page in a window of some width: screenshot, requests beyond the page itself, faults."""

    png: bytes
    requests: List[str]
    faults: List[str]


def find() -> Optional[str]:
    """Return the path of a browser, None without one."""
    asked = os.environ.get("OPCACHE_BROWSER")
    return asked or next(filter(None, map(shutil.which, _NAMES)), None)


class Browser:
    """One running browser; ``look`` opens a page in it."""

    def __init__(self, process: subprocess.Popen, read: int, write: int, folder: Path) -> None:
        self._process = process
        self._page = folder / "page.html"
        self._read = read
        self._write = os.fdopen(write, "wb", buffering=0)
        self._rest = b""
        self._last_id = 0
        self._events: List[Dict[str, Any]] = []

    def look(self, html: str, width: int, dark: bool = False) -> Sight:
        """Open a page in a window ``width`` CSS pixels wide and wait until it is shown."""
        self._page.write_text(html, encoding="utf-8")
        target = self._call("Target.createTarget", {"url": "about:blank"})["targetId"]
        attached = self._call("Target.attachToTarget", {"targetId": target, "flatten": True})
        session = attached["sessionId"]
        self._events.clear()
        for domain in ("Page", "Network", "Runtime"):
            self._call(f"{domain}.enable", {}, session)
        phone = width < 600
        size = {"width": width, "height": 900, "deviceScaleFactor": 2 if phone else 1}
        self._call("Emulation.setDeviceMetricsOverride", {**size, "mobile": phone}, session)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", {"features": [scheme]}, session)
        self._call("Page.navigate", {"url": self._page.as_uri()}, session)
        self._wait_for("Page.loadEventFired", session)
        self._evaluate("document.fonts.ready.then(() => true)", session)
        faults = self._evaluate(_FAULTS, session)
        shot = self._call(
            "Page.captureScreenshot", {"captureBeyondViewport": True, "format": "png"}, session
        )
        asked = [
            event["params"]["request"]["url"]
            for event in self._events
            if event["method"] == "Network.requestWillBeSent"
        ]
        self._call("Target.closeTarget", {"targetId": target})
        requests = [u for u in asked if not u.startswith("data:") and u != self._page.as_uri()]
        return Sight(base64.b64decode(shot["data"]), requests, faults)

    def close(self) -> None:
        """End the browser."""
        with contextlib.suppress(OSError):
            self._send({"id": 0, "method": "Browser.close"})
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._read)
        self._write.close()

    def _evaluate(self, expression: str, session: str) -> Any:
        arguments = {"expression": expression, "returnByValue": True, "awaitPromise": True}
        answer = self._call("Runtime.evaluate", arguments, session)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"the page's script failed: {answer['exceptionDetails']}")
        return answer["result"]["value"]

    def _call(
        self, method: str, parameters: Dict[str, Any], session: Optional[str] = None
    ) -> Dict[str, Any]:
        self._last_id += 1
        message: Dict[str, Any] = {"id": self._last_id, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        self._send(message)
        while True:
            answer = self._receive()
            if answer.get("id") == self._last_id:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    def _wait_for(self, method: str, session: str) -> None:
        while (method, session) not in ((e["method"], e.get("sessionId")) for e in self._events):
            self._receive()

    def _send(self, message: Dict[str, Any]) -> None:
        self._write.write(json.dumps(message).encode() + b"\0")

    def _receive(self) -> Dict[str, Any]:
        while b"\0" not in self._rest:
            if not select.select([self._read], [], [], _TIMEOUT_S)[0]:
                self._process.kill()
                raise RuntimeError(f"the browser has not answered for {_TIMEOUT_S} s")
            part = os.read(self._read, 1 << 16)
            if not part:
                raise RuntimeError(f"the browser ended with code {self._process.wait()}")
            self._rest += part
        line, self._rest = self._rest.split(b"\0", 1)
        message = json.loads(line)
        if "method" in message:
            self._events.append(message)
        return message


@contextlib.contextmanager
def running(executable: str) -> Iterator[Browser]:
    """Start a browser with a profile of its own and end it after the block."""
    to_browser, write = os.pipe()
    read, from_browser = os.pipe()
    with tempfile.TemporaryDirectory() as profile, contextlib.ExitStack() as stack:
        # Chromium speaks on descriptors 3 and 4, and ends when they are closed.
        # --no-sandbox: it cannot start as root otherwise, and sees no page but our own.
        script = f'exec "$0" "$@" 3<&{to_browser} 4>&{from_browser}'
        options = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars")
        options += ("--no-first-run", "--disable-dev-shm-usage", "--remote-debugging-pipe")
        process = subprocess.Popen(
            ["bash", "-c", script, executable, *options, f"--user-data-dir={profile}"],
            pass_fds=(to_browser, from_browser),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        browser = Browser(process, read, write, Path(profile))
        stack.callback(browser.close)
        yield browser


def colours(png: bytes) -> int:
    """Return how many colours a screenshot has; a blank one has one."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    return len(image.getcolors(maxcolors=image.width * image.height) or [])


def external(html: str) -> List[str]:
    """Return what a browser would fetch: every src, href and url() but anchors and data."""
    asked = re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?([^"')\s>]+)""", html)
    return [target for target in asked if not target.startswith(("#", "data:"))]
