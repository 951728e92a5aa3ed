"""`tollgate top`, beside a gateway that is asked, in a pipe and in a terminal."""

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import threading

import pytest

from control import ADMIN_KEY, DECLARED_TOKEN, ENV, chat, control_plane, eventually
from gateways import binary, environment

# Bits of a terminal's control flags that repeat its speed.
CIBAUD = 0o2003600000


@pytest.fixture
def plane(tmp_path):
    with control_plane(tmp_path, "sqlite") as gateway:
        yield gateway


@pytest.fixture
def busy(plane):
    """Requests, one after another, while the test looks."""
    stop = threading.Event()

    def ask():
        while not stop.is_set():
            for model in ("demo:echo", "demo:503"):
                chat(plane, DECLARED_TOKEN, model)

    thread = threading.Thread(target=ask)
    thread.start()
    yield plane
    stop.set()
    thread.join()


def settings(terminal):
    """How a terminal is set; that both directions have one speed may be said in two ways."""
    attributes = termios.tcgetattr(terminal)
    attributes[2] &= ~CIBAUD
    return attributes


class Terminal:
    """A command in a terminal of its own, and what that shows."""

    def __init__(self, arguments, env, columns, rows):
        self.master, self.slave = pty.openpty()
        self.resize(columns, rows)
        self.before = settings(self.slave)
        self.process = subprocess.Popen(
            [binary(), *arguments], stdin=self.slave, stdout=self.slave, stderr=self.slave, env={**environment(), **env}
        )
        self.written = b""
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        while True:
            try:
                self.written += os.read(self.master, 65536)
            except OSError:
                return

    def resize(self, columns, rows):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def press(self, keys):
        os.write(self.master, keys)

    def frame(self):
        """The lines of the last frame that is whole."""
        frames = re.findall(r"\x1b\[H(.*?)\x1b\[J", self.written.decode(errors="replace"), re.DOTALL)
        return [re.sub(r"\x1b\[\d*[a-zA-Z]", "", line) for line in frames[-1].split("\r\n")] if frames else []

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.slave)
        os.close(self.master)


def test_one_look_says_what_happens(busy):
    arguments = ("top", "--once", "--url", busy.admin_url)
    env = {"TOLLGATE_ADMIN_KEY": ADMIN_KEY}

    def looked():
        done = busy.command(*arguments, "--json", env=env)
        assert done.returncode == 0, done.stderr
        view = json.loads(done.stdout)
        return view if view["requests"]["perSecond"] > 0 and view["accessKeys"] else None

    view = eventually("requests show", looked)
    assert view["latency"]["medianMs"] > 0 and view["tokens"]["outputPerSecond"] > 0, view
    assert view["unready"] is None and view["notes"] == [], view
    (demo,) = [row for row in view["providers"] if row["provider"] == "demo"]
    assert demo["attemptsPerSecond"] > demo["failedPerSecond"] > 0, demo
    (key,) = [row for row in view["accessKeys"] if row["accessKey"] == "declared"]
    assert key["requests"] >= key["errors"] > 0 and key["usd"], key
    assert view["money"]["freeUsd"] > 900, view

    text = busy.command(*arguments, env=env).stdout
    for part in ("requests", "PROVIDER", "demo", "ACCESS KEY", "declared", "ready"):
        assert part in text, text
    assert max(map(len, text.splitlines())) <= 80, text
    keyless = busy.command(*arguments)
    assert keyless.returncode == 0 and "TOLLGATE_ADMIN_KEY" in keyless.stdout, keyless
    away = busy.command("top", "--once", "--url", "http://127.0.0.1:9")
    assert away.returncode == 1 and "cannot be reached" in away.stderr, away
    assert "--once" in busy.command("top", "--url", busy.admin_url).stderr, "a pipe is no terminal"


@pytest.mark.parametrize("leave", ["q", "ctrl-c", "signal"])
def test_a_terminal_is_as_it_was_afterwards(plane, leave):
    terminal = Terminal(["top", "--url", plane.admin_url], {}, 80, 24)
    try:
        eventually("it shows a frame", lambda: any("PROVIDER" in line for line in terminal.frame()))
        assert settings(terminal.slave) != terminal.before, "keys are read as they are pressed"
        if leave == "signal":
            terminal.process.send_signal(signal.SIGTERM)
        else:
            terminal.press(b"x" + {"q": b"q", "ctrl-c": b"\x03"}[leave])
        assert terminal.process.wait(10) == 0
        assert settings(terminal.slave) == terminal.before
        eventually("the screen from before", lambda: terminal.written.endswith(b"\x1b[?25h\x1b[?1049l"))
    finally:
        terminal.end()


def test_a_gateway_that_is_away_is_asked_on(plane):
    terminal = Terminal(["top", "--url", plane.admin_url], {}, 80, 24)
    again = None
    try:
        eventually("it shows a frame", lambda: any("PROVIDER" in line for line in terminal.frame()))
        terminal.resize(60, 8)
        eventually("it fits", lambda: 0 < len(terminal.frame()) <= 8 and max(map(len, terminal.frame())) <= 60)
        terminal.resize(80, 24)
        plane.process.terminate()
        plane.process.wait(20)
        eventually("it says so", lambda: "AWAY" in terminal.frame()[0] and "cannot be reached" in terminal.frame()[1])
        assert any("PROVIDER" in line for line in terminal.frame()), "what was known stays in sight"
        again = subprocess.Popen(
            [binary(), "run", "--config", "tollgate.yaml"], cwd=plane.directory, stderr=subprocess.DEVNULL,
            env={**environment(), **ENV},
        )  # fmt: skip
        eventually("it is there again", lambda: "AWAY" not in terminal.frame()[0] and "ready" in terminal.frame()[0])
        assert terminal.process.poll() is None
    finally:
        terminal.end()
        if again is not None:
            again.terminate()
            again.wait(20)
