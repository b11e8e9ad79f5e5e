"""Chromium without a window, driven over a pipe by its DevTools protocol.

The protocol is JSON with a zero byte after each message, read from the
browser's file descriptor 3 and written to 4, so that nothing has to be
installed but Chromium itself.
"""

import base64
import fcntl
import json
import os
import select
import shutil
import time

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
PATIENCE = 60  # seconds for an answer
FIRST_FREE = 10  # file descriptors that cannot be 3 or 4


def find_chromium():
    """Returns the path of Chromium; skips the test where there is none."""
    found = filter(None, map(shutil.which, NAMES))
    path = next(found, None)
    if path is None:
        pytest.skip(f"needs Chromium; none of {', '.join(NAMES)} is installed")
    return path


class Browser:
    """A running Chromium; a context manager.

    Args:
        folder: path, for the browser's files and its downloads.
    """

    def __init__(self, folder):
        self.path = find_chromium()
        self.folder = folder
        self.messages = []  # those that are not answers
        self.number = 0
        self.rest = b""

    def __enter__(self):
        theirs_in, ours_out = os.pipe()
        ours_in, theirs_out = os.pipe()
        moved = [
            fcntl.fcntl(end, fcntl.F_DUPFD, FIRST_FREE)
            for end in (theirs_in, theirs_out)
        ]
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_DUP2, moved[0], 3),
            (os.POSIX_SPAWN_DUP2, moved[1], 4),
        ]
        arguments = [
            self.path,
            "--headless",
            "--no-sandbox",  # containers run as root
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--hide-scrollbars",
            "--remote-debugging-pipe",
            f"--user-data-dir={self.folder / 'profile'}",
        ]
        self.process = os.posix_spawn(
            self.path, arguments, os.environ, file_actions=actions
        )
        for end in (theirs_in, theirs_out, *moved):
            os.close(end)
        self.input, self.output = ours_in, ours_out
        return self

    def __exit__(self, *_):
        self.send("Browser.close")
        os.waitpid(self.process, 0)
        os.close(self.input)
        os.close(self.output)

    def send(self, method, session=None, **params):
        """Sends a command and returns its result."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self.output, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.receive()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.messages.append(answer)

    def receive(self):
        while b"\0" not in self.rest:
            ready, _, _ = select.select([self.input], [], [], PATIENCE)
            if not ready:
                raise TimeoutError("Chromium does not answer")
            self.rest += os.read(self.input, 1 << 20)
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def open(self, url, width=1200, height=800, dark=False):
        """Opens an address in a tab of its own.

        Returns:
            A `Tab`, once the page says that it is ready.
        """
        target = self.send("Target.createTarget", url="about:blank")
        session = self.send(
            "Target.attachToTarget", flatten=True, targetId=target["targetId"]
        )["sessionId"]
        tab = Tab(self, session, target["targetId"])
        tab.start()
        tab.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme"}
        scheme["value"] = "dark" if dark else "light"
        tab.send("Emulation.setEmulatedMedia", features=[scheme])
        self.send(
            "Browser.setDownloadBehavior",
            behavior="allow",
            downloadPath=str(self.folder),
        )
        tab.send("Page.navigate", url=url)
        tab.wait("document.body?.dataset.ready")
        return tab


class Tab:
    """A page in the browser."""

    def __init__(self, browser, session, target):
        self.browser = browser
        self.session = session
        self.target = target

    def start(self):
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")
        self.send("Performance.enable", timeDomain="threadTicks")
        self.send(
            "Target.setAutoAttach",
            autoAttach=True,
            waitForDebuggerOnStart=False,
            flatten=True,
        )

    def send(self, method, **params):
        return self.browser.send(method, self.session, **params)

    def run(self, script):
        """Returns the value of a JavaScript expression."""
        result = self.send(
            "Runtime.evaluate",
            expression=script,
            returnByValue=True,
            awaitPromise=True,
        )
        if "exceptionDetails" in result:
            raise RuntimeError(result["exceptionDetails"])
        return result["result"].get("value")

    def wait(self, condition):
        """Waits until a JavaScript expression is true."""
        end = time.monotonic() + PATIENCE
        while not self.run(condition):
            if time.monotonic() > end:
                raise TimeoutError(f"{condition}; {self.errors()}")
            time.sleep(0.02)

    def cpu_seconds(self):
        """Returns the processor time that the page has taken so far."""
        metrics = self.send("Performance.getMetrics")["metrics"]
        named = {metric["name"]: metric["value"] for metric in metrics}
        return named["TaskDuration"]

    def frame(self):
        """Returns the frame in the page, which is a process of its own."""
        self.wait("document.readyState === 'complete'")
        (event,) = self.events("Target.attachedToTarget")
        inner = event["params"]
        target = inner["targetInfo"]["targetId"]
        tab = Tab(self.browser, inner["sessionId"], target)
        tab.start()
        tab.wait("document.body?.dataset.ready")
        return tab

    def close(self):
        self.browser.send("Target.closeTarget", targetId=self.target)

    def press(self, key):
        """Presses a key, such as "ArrowRight"."""
        text = {"Enter": "\r", " ": " "}.get(key, "")
        for kind in ("keyDown", "keyUp"):
            self.send("Input.dispatchKeyEvent", type=kind, key=key, text=text)
            text = ""

    def mouse(self, kind, selector, x=0.5, y=0.5):
        """Moves the mouse to a place in an element, or clicks there.

        Args:
            kind: `"move"` or `"click"`.
            selector: CSS selector of the element.
            x, y: the place, as a share of its width and height.
        """
        place = f"document.querySelector({json.dumps(selector)})"
        box = self.run(
            f"{place}.scrollIntoView({{block: 'nearest'}}), "
            f"(({{x, y, width, height}}) => [x, y, width, height])"
            f"({place}.getBoundingClientRect())"
        )
        at = {"x": box[0] + x * box[2], "y": box[1] + y * box[3]}
        self.send("Input.dispatchMouseEvent", type="mouseMoved", **at)
        for press in ("mousePressed", "mouseReleased") * (kind == "click"):
            self.send(
                "Input.dispatchMouseEvent",
                type=press,
                button="left",
                clickCount=1,
                **at,
            )

    def picture(self, path):
        """Saves what is seen as a PNG file."""
        data = self.send("Page.captureScreenshot")["data"]
        path.write_bytes(base64.b64decode(data))

    def events(self, *methods):
        """Returns what the browser has told of this page."""
        self.run("0")  # lets messages arrive
        return [
            message
            for message in self.browser.messages
            if message.get("sessionId") == self.session
            and message["method"] in methods
        ]

    def errors(self):
        """Returns what the page has thrown or written to the console."""
        return self.events(
            "Runtime.exceptionThrown",
            "Runtime.consoleAPICalled",
            "Log.entryAdded",
        )

    def requests(self):
        """Returns the addresses that the page has asked for."""
        events = self.events("Network.requestWillBeSent")
        return [event["params"]["request"]["url"] for event in events]
