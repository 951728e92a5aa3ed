"""A real gateway for the SDKs to talk to.

With TOLLGATE_BIN the tests start that binary, once, with a configuration of their own. Without it they use
a gateway that runs already: TOLLGATE_URL, TOLLGATE_KEY (allowed everything), TOLLGATE_NARROW_KEY (allowed
demo:echo only), TOLLGATE_ADMIN_URL; what needs more than that is skipped.
"""

import contextlib
import hashlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

import anthropic
import openai
import pytest

from provider import Provider

KEY = "tg-sdk-g1-" + "A" * 43
NARROW_KEY = "tg-narrow-g1-" + "B" * 43


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def configuration(proxy, admin, demo, stub, log):
    """JSON is YAML, so no YAML library is needed."""
    sha256 = lambda token: hashlib.sha256(token.encode()).hexdigest()
    return json.dumps(
        {
            "proxy": {"listen": [f"127.0.0.1:{proxy}"], "drain": "10s"},
            "admin": {"listen": f"127.0.0.1:{admin}"},
            "accounts": [{"id": "default", "grants": [{"id": "tests", "usd": 1000}]}],
            "demo": {"listen": f"127.0.0.1:{demo}"},
            "log": {"access": str(log)},
            "timeouts": {"per_request": "1500ms", "total": "10s", "stream_idle": "2s", "hold": "5s"},
            "providers": [
                {
                    "id": "stub",
                    "base_url": f"http://127.0.0.1:{stub}",
                    "surfaces": ["openai/chat-completions", "anthropic/messages"],
                    "passthrough": True,
                    "keys": [{"id": "stub-main", "value": "upstream-credential-0123456789"}],
                },
                *(
                    {
                        "id": name,
                        "base_url": f"http://127.0.0.1:{stub}",
                        "surfaces": [surface],
                        "passthrough": True,
                        "keys": [{"id": f"{name}-main", "value": "upstream-credential-0123456789"}],
                    }
                    for name, surface in [
                        ("only-chat", "openai/chat-completions"),
                        ("only-responses", "openai/responses"),
                        ("only-messages", "anthropic/messages"),
                    ]
                ),
                {
                    "id": "nowhere",
                    "base_url": "http://127.0.0.1:9",
                    "auth": "none",
                    "surfaces": ["openai/chat-completions", "anthropic/messages"],
                    "passthrough": True,
                    "keys": [{"id": "nowhere-main", "value": "unused"}],
                },
            ],
            "configurations": [{"id": "narrow", "access": {"models": {"allow": ["demo:echo"]}}}],
            "access_keys": [
                {"id": "sdk", "sha256": sha256(KEY)},
                {"id": "narrow", "configuration": "narrow", "sha256": sha256(NARROW_KEY)},
            ],
        },
        indent=2,
    )


class Gateway:
    """Where a gateway is, and what to say to it."""

    def __init__(self, url, admin_url, key, narrow_key, log=None, process=None, stub=None):
        self.url = url
        self.admin_url = admin_url
        self.key = key
        self.narrow_key = narrow_key
        self.log = log
        self.process = process
        self.stub = stub

    def admin(self, path):
        """Status and text of an operators' page."""
        try:
            with urllib.request.urlopen(self.admin_url + path, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as answer:
            return answer.code, answer.read().decode()

    def log_entry(self, request_id):
        """The access log's line of a request; lines are written in batches, so it may take a moment."""
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            for line in self.log.read_text().splitlines():
                entry = json.loads(line)
                if entry["request_id"] == request_id:
                    return line, entry
            time.sleep(0.05)
        raise AssertionError(f"no access log line of request {request_id}")


@contextlib.contextmanager
def running(directory):
    """A gateway process of its own, and a provider it may call."""
    binary = os.environ["TOLLGATE_BIN"]
    proxy, admin, demo = free_port(), free_port(), free_port()
    log, errors = directory / "access.log", directory / "stderr.log"
    config = directory / "tollgate.yaml"
    with Provider() as stub, errors.open("wb") as stderr:
        config.write_text(configuration(proxy, admin, demo, stub.port, log))
        process = subprocess.Popen([binary, "run", "--config", config], cwd=directory, stderr=stderr)
        gateway = Gateway(
            f"http://127.0.0.1:{proxy}", f"http://127.0.0.1:{admin}", KEY, NARROW_KEY, log, process, stub
        )
        try:
            wait_until_ready(gateway, errors)
            yield gateway
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            text = errors.read_text(errors="replace")
            assert "panicked" not in text, text


def wait_until_ready(gateway, errors):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if gateway.process.poll() is not None:
            break
        with contextlib.suppress(OSError):
            if gateway.admin("/readyz")[0] == 200:
                return
        time.sleep(0.05)
    raise AssertionError(f"the gateway did not start:\n{errors.read_text(errors='replace')}")


@pytest.fixture(scope="session")
def gateway(tmp_path_factory):
    if "TOLLGATE_BIN" in os.environ:
        with running(tmp_path_factory.mktemp("gateway")) as started:
            yield started
    elif "TOLLGATE_URL" in os.environ:
        yield Gateway(
            os.environ["TOLLGATE_URL"],
            os.environ.get("TOLLGATE_ADMIN_URL"),
            os.environ["TOLLGATE_KEY"],
            os.environ.get("TOLLGATE_NARROW_KEY"),
        )
    else:
        pytest.exit("set TOLLGATE_BIN to the binary to test (or use `make test`)", returncode=2)


@pytest.fixture
def own_gateway(tmp_path: pathlib.Path):
    """A gateway that the test may stop."""
    if "TOLLGATE_BIN" not in os.environ:
        pytest.skip("needs TOLLGATE_BIN")
    with running(tmp_path) as started:
        yield started


@pytest.fixture
def stub(gateway):
    """The provider that answers what the test says and remembers what it was asked."""
    if gateway.stub is None:
        pytest.skip("needs TOLLGATE_BIN")
    gateway.stub.forget()
    return gateway.stub


@pytest.fixture
def client(gateway):
    """The OpenAI SDK. It must not retry: a retry would hide what the gateway did."""
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0, timeout=20) as sdk:
        yield sdk


@pytest.fixture
def claude(gateway):
    """The Anthropic SDK."""
    with anthropic.Anthropic(base_url=gateway.url, api_key=gateway.key, max_retries=0, timeout=20) as sdk:
        yield sdk
