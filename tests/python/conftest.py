"""A real gateway for the SDKs to talk to.

With TOLLGATE_BIN the tests start that binary, once, with a configuration of their own. Without it they use
a gateway that runs already: TOLLGATE_URL, TOLLGATE_KEY (allowed everything), TOLLGATE_NARROW_KEY (allowed
demo:echo only), TOLLGATE_ADMIN_URL; what needs more than that is skipped.
"""

import contextlib
import os
import pathlib

import anthropic
import openai
import pytest

import gateways
from gateways import PLANTED, Gateway, sha256
from provider import Provider

KEY = "tg-sdk-g1-" + PLANTED + "A" * 36
NARROW_KEY = "tg-narrow-g1-" + PLANTED + "B" * 36
UPSTREAM_KEY = "upstream-credential-" + PLANTED + "-0123456789"


def configuration(stub):
    return {
        "accounts": [{"id": "default", "grants": [{"id": "tests", "usd": 1000}]}],
        "timeouts": {"per_request": "1500ms", "whole_answer": "1500ms", "total": "10s", "stream_idle": "2500ms", "hold": "5s"},
        "providers": [
            {
                "id": "stub",
                "base_url": f"http://127.0.0.1:{stub}",
                "surfaces": ["openai/chat-completions", "anthropic/messages"],
                "passthrough": True,
                "keys": [{"id": "stub-main", "value": UPSTREAM_KEY}],
            },
            *(
                {
                    "id": name,
                    "base_url": f"http://127.0.0.1:{stub}",
                    "surfaces": [surface],
                    "passthrough": True,
                    "keys": [{"id": f"{name}-main", "value": UPSTREAM_KEY}],
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
    }


@contextlib.contextmanager
def running(directory):
    """A gateway process of its own, and a provider it may call."""
    with Provider() as stub:
        with gateways.running(directory, configuration(stub.port), None, KEY, NARROW_KEY, stub) as gateway:
            yield gateway


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


def pytest_collection_modifyitems(items):
    """What takes longest begins first: at the end all workers would wait for it."""
    items.sort(key=lambda item: item.path.name != "test_schemathesis.py")
