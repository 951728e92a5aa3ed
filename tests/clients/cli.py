"""Runs a command line of the npm registry with nothing of this machine: no home, no account, no network."""

import os
import pathlib
import platform
import struct
import subprocess
import zlib

import pytest

MODULES = pathlib.Path(__file__).parent / "node_modules"
ARCHITECTURE = {"x86_64": "x64", "aarch64": "arm64", "arm64": "arm64"}.get(platform.machine())
# Port 9 of loopback refuses; what obeys the variables reaches nothing but the gateway.
NOWHERE = "http://127.0.0.1:9"


def program(package, pattern):
    """The program that a package has for this machine, if it runs here; else the test is skipped."""
    home = MODULES / f"{package}-{platform.system().lower()}-{ARCHITECTURE}"
    found = sorted(home.glob(pattern))
    if not found:
        pytest.skip(f"{package} is not installed for this machine (`.ci/tools test` installs it)")
    try:
        command = [found[0], "--version"]
        version = subprocess.run(command, capture_output=True, text=True, timeout=60, env={"HOME": "/nonexistent"})
    except (OSError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"{package} does not run on this machine: {error}")
    if version.returncode != 0:
        pytest.skip(f"{package} does not run on this machine: {version.stderr.strip()[-200:]}")
    return found[0]


def picture(side=64):
    """A red square as a PNG."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    lines = zlib.compress((b"\0" + b"\xff\0\0" * side) * side)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", lines) + chunk(b"IEND", b"")


class Home:
    """A home of its own, and a directory to work in, both empty."""

    def __init__(self, directory):
        self.home, self.work = directory / "home", directory / "work"
        self.home.mkdir()
        self.work.mkdir()

    def run(self, command, timeout=60, **environment):
        """The completed process; one that takes longer (seconds) fails the test."""
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "TMPDIR": str(self.home),
            "LANG": "C.UTF-8",
            "HTTP_PROXY": NOWHERE,
            "HTTPS_PROXY": NOWHERE,
            "ALL_PROXY": NOWHERE,
            "NO_PROXY": "127.0.0.1",
            **environment,
        }
        where = {"cwd": self.work, "env": environment, "stdin": subprocess.DEVNULL}
        return subprocess.run(command, **where, capture_output=True, text=True, timeout=timeout)
