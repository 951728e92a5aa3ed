"""A gateway with one scripted provider behind it, which the gateway knows under several names.

`openai` and `anthropic` are the built-in providers with another address, so the catalog's models and prices
hold; `chat`, `responses` and `messages` each offer one dialect only.
"""

import contextlib
import hashlib
import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

import pytest

from scripted import CACHED, OUTPUT, PROMPT, Provider

ADMIN_KEY = "correct-horse-battery-of-the-clients"
PRICES = {"input": 2, "cached_read": 0.2, "output": 10}
# By its name a client knows a model's abilities, or that it knows nothing of it.
MODELS = ["scripted", "claude-sonnet-5", "gpt-5.5", "gpt-5.6-sol"]
SURFACES = {"chat": "openai/chat-completions", "responses": "openai/responses", "messages": "anthropic/messages"}
# Whom a key may call, with one of them or two.
GROUPS = [*SURFACES, "chat-responses", "chat-messages", "responses-messages"]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def configuration(proxy, admin, provider, directory):
    """JSON is YAML, so no YAML library is needed."""
    base_url = f"http://127.0.0.1:{provider}"
    key = lambda id: [{"id": f"{id}-house", "value": f"upstream-credential-of-{id}"}]
    built_in = [{"id": id, "base_url": base_url, "managed_keys": key(id)} for id in ("openai", "anthropic")]
    own = [
        {
            "id": id,
            "base_url": base_url,
            "surfaces": [surface],
            "managed_keys": key(id),
            "models": [{"id": model, "max_output_tokens": 64000, "prices": PRICES} for model in MODELS],
        }
        for id, surface in SURFACES.items()
    ]
    return json.dumps(
        {
            "proxy": {"listen": [f"127.0.0.1:{proxy}"], "drain": "5s"},
            "admin": {"listen": f"127.0.0.1:{admin}"},
            "accounts": [{"id": "default", "grants": [{"id": "tests", "usd": 1000}]}],
            "ledger": {"flush": "100ms"},
            "log": {"access": str(directory / "access.log")},
            "providers": built_in + own,
            "configurations": [{"id": id, "access": {"providers": {"allow": id.split("-")}}} for id in GROUPS],
            "access_keys": [
                {"id": id or "clients", "configuration": id, "sha256": hashlib.sha256(key_of(id).encode()).hexdigest()}
                for id in (None, *GROUPS)
            ],
        },
        indent=2,
    )


def key_of(provider=None):
    """The token of a key that may call everything, or one of GROUPS only: by it a bare model id means that one."""
    return f"tg-{provider or 'clients'}-g1-" + "C" * 43


class Gateway:
    """A running gateway, and how to look behind it."""

    key = key_of()

    def __init__(self, directory, binary, proxy, admin):
        self.directory, self.binary = directory, binary
        self.url, self.admin_url = f"http://127.0.0.1:{proxy}", f"http://127.0.0.1:{admin}"

    def log(self):
        """The access log's lines."""
        return [json.loads(line) for line in (self.directory / "access.log").read_text().splitlines()]

    def key_for(self, provider):
        return key_of(provider)

    def events(self):
        """Usage events that the ledger has, newest first."""
        command = [self.binary, "usage", "--events", "--json", "--limit", "100000", "--config", "tollgate.yaml"]
        done = subprocess.run(command, cwd=self.directory, capture_output=True, text=True, timeout=20)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def forget_cool_downs(self):
        """What an earlier test overloaded is asked first again."""
        request = urllib.request.Request(f"{self.admin_url}/cool-downs", method="DELETE")
        request.add_header("authorization", f"Bearer {ADMIN_KEY}")
        urllib.request.urlopen(request, timeout=5).close()

    def ready(self):
        with contextlib.suppress(OSError, urllib.error.HTTPError):
            with urllib.request.urlopen(f"{self.admin_url}/readyz", timeout=5) as answer:
                return answer.status == 200
        return False


@pytest.fixture(scope="session")
def _running(tmp_path_factory):
    if "TOLLGATE_BIN" not in os.environ:
        pytest.exit("set TOLLGATE_BIN to the binary to test (or use `make test-clients`)", returncode=2)
    directory = tmp_path_factory.mktemp("gateway")
    gateway = Gateway(directory, os.environ["TOLLGATE_BIN"], free_port(), free_port())
    errors = directory / "stderr.log"
    with Provider() as provider, errors.open("wb") as stderr:
        ports = [int(url.rpartition(":")[2]) for url in (gateway.url, gateway.admin_url)]
        (directory / "tollgate.yaml").write_text(configuration(*ports, provider.port, directory))
        command = [gateway.binary, "run", "--config", "tollgate.yaml"]
        environment = {**os.environ, "TOLLGATE_ADMIN_KEY": ADMIN_KEY}
        process = subprocess.Popen(command, cwd=directory, stderr=stderr, env=environment)
        try:
            deadline = time.monotonic() + 30
            while not gateway.ready():
                running = process.poll() is None and time.monotonic() < deadline
                assert running, f"the gateway did not start:\n{errors.read_text(errors='replace')}"
                time.sleep(0.05)
            yield gateway, provider
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            text = errors.read_text(errors="replace")
            assert "panicked" not in text, text


@pytest.fixture
def gateway(_running):
    return _running[0]


@pytest.fixture
def charges(gateway):
    """Finds each of a test's requests charged, at the price of what the provider reported."""
    before = len(gateway.events())

    def check(provider, number):
        deadline = time.monotonic() + 5
        while len(events := gateway.events()) < before + number and time.monotonic() < deadline:
            time.sleep(0.1)
        new = events[: len(events) - before]
        assert [event["provider"] for event in new] == [provider] * number
        for event in new:
            # codex leaves when it has read response.completed, and does not wait for the end of the body.
            assert event["outcome"] in ("ok", "client_gone") and not event["estimated"], event
            figures = ("inputTokens", "cacheReadTokens", "outputTokens")
            assert [event[name] for name in figures] == [PROMPT, CACHED, OUTPUT], event
            # 800 × 2 + 200 × 0.2 + 50 × 10 µUSD, and the processing fee of 1,050 tokens; shown to 5 decimals.
            assert float(event["totalCost"]) == pytest.approx(0.0021925, abs=0.00001), event

    return check


@pytest.fixture
def provider(_running):
    """The scripted provider. A test ends by finding that everything it was asked was valid."""
    gateway, provider = _running
    provider.forget()
    gateway.forget_cool_downs()
    yield provider
    assert provider.faults == [], "requests that a real provider refuses"
