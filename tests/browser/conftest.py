"""A gateway that has been in use, and a browser to look at its console with.

Needs TOLLGATE_BIN. Without a browser (`TOLLGATE_TEST_BROWSER`, or Chromium in the path) or Playwright, all is skipped.
With TOLLGATE_SCREENSHOTS, a folder, every page is kept there as it looks: light and dark, on a desk and in a hand.
"""

import contextlib
import json
import os
import pathlib
import shutil
import time
import urllib.request

import pytest

import gateways
from gateways import ADMIN_KEY, MASTER_KEY, PLANTED, sha256

TOKEN = "tg-shop-g1-" + PLANTED + "A" * 36
ACME_TOKEN = "tg-acme-g1-" + PLANTED + "B" * 36
READER = "reader-key-" + PLANTED + "-0123456789"
ACME = "acme-admin-" + PLANTED + "-0123456789"
UPSTREAM = "upstream-credential-" + PLANTED + "-0123456789"
# What is no markup, wherever it is shown.
MARKUP = "<img src=x onerror=alert(1)><b>"
SEEN = ["/", "requests", "usage", "credits", "books", "alerts", "fleet", "access-keys", "configurations", "budgets", "providers", "catalog", "playground", "accounts", "api-keys", "audit-log"]


def address(page):
    return page if page.startswith("/") else f"/console/{page}"


def browser_path():
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return os.environ.get("TOLLGATE_TEST_BROWSER") or next(filter(None, map(shutil.which, names)), None)


def configuration(demo):
    provider = {"base_url": f"{demo}/v1", "surfaces": ["openai/chat-completions"], "passthrough": True}
    prices = {"input": 2, "output": 10}
    return {
        "accounts": [{"id": "default", "grants": [{"id": "tests", "usd": 100}]}, {"id": "acme", "grants": [{"id": "tests", "usd": 7}]}],
        "admin": {
            "api_keys": [
                {"id": "reader", "name": "reader", "sha256": sha256(READER), "role": "read-only"},
                {"id": "acme", "name": "acme", "sha256": sha256(ACME), "account": "acme"},
            ]
        },
        "ledger": {"flush": "50ms", "processing_fee": 1},
        "providers": [
            {**provider, "id": "first", "keys": [{"id": "first-main", "value": UPSTREAM}], "models": [{"id": "503"}, {"id": "echo", "prices": prices}]},
            {**provider, "id": "second", "managed_keys": [{"id": "second-main", "value": UPSTREAM}], "models": [{"id": "echo", "prices": prices}]},
        ],
        "configurations": [
            {
                "id": "team-a",
                "access": {"models": {"allow": ["second:echo", "demo:echo"]}},
                "router": {"rules": [{"provider": "second", "steps": [{"type": "managed"}]}]},
                "limits": {"requests_per_minute": 600, "budget": {"usd": 20, "per": "day"}},
            }
        ],
        "access_keys": [
            {"id": "shop", "name": "Web shop", "sha256": sha256(TOKEN)},
            {"id": "acme", "sha256": sha256(ACME_TOKEN), "account": "acme"},
        ],
    }


def ask(gateway, token, *models, text="Hello"):
    body = {"model": models[0], "models": list(models[1:]), "messages": [{"role": "user", "content": text}]}
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json", "user-agent": MARKUP}
    request = urllib.request.Request(f"{gateway.url}/v1/chat/completions", json.dumps(body).encode(), headers)
    with contextlib.suppress(urllib.error.HTTPError), urllib.request.urlopen(request, timeout=20) as answer:
        answer.read()


def call(gateway, method, path, body=None, key=ADMIN_KEY):
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(gateway.admin_url + path, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.loads(answer.read() or b"null")


def stored(gateway, requests):
    """Waits until so many requests can be looked up, which they can a moment after they end."""
    end = time.monotonic() + 20
    while len(call(gateway, "GET", "/usage?startTime=2020-01-01T00:00:00Z")["aiGatewayUsage"]) < requests:
        assert time.monotonic() < end, f"{requests} requests are stored"
        time.sleep(0.1)


def started(directory, admin=None):
    """A gateway; `admin` is added to that section."""
    if "TOLLGATE_BIN" not in os.environ:
        pytest.exit("set TOLLGATE_BIN to the binary to test (or use `make test`)", returncode=2)
    env = {"TOLLGATE_ADMIN_KEY": ADMIN_KEY, "TOLLGATE_MASTER_KEY": MASTER_KEY}
    secrets = (TOKEN, ACME_TOKEN, READER, ACME, UPSTREAM)

    def with_admin(demo):
        made = configuration(demo)
        return {**made, "admin": {**made["admin"], **(admin or {})}}

    return gateways.running(directory, with_admin, env, TOKEN, secrets=secrets)


@pytest.fixture(scope="session")
def used(tmp_path_factory):
    """A gateway with something to look at."""
    with started(tmp_path_factory.mktemp("used")) as gateway:
        call(gateway, "POST", "/access-keys", {"name": MARKUP, "description": MARKUP})
        call(gateway, "POST", "/access-key-configurations", {"name": "Team B", "access": {"providers": {"allow": ["demo"]}}})
        call(gateway, "POST", "/provider-keys", {"providerId": "openai", "name": "Main", "value": "sk-" + PLANTED + "-0123456789abcdef"})
        for turn in range(12):
            ask(gateway, TOKEN, "second:echo", text="A longer question " * turn)
            ask(gateway, TOKEN, "first:503", "second:echo")
        ask(gateway, TOKEN, "first:503")
        ask(gateway, TOKEN, f"first:{MARKUP}")
        ask(gateway, TOKEN, "demo:429", "demo:cut-early", "demo:echo")
        ask(gateway, ACME_TOKEN, "second:echo")
        stored(gateway, 27)
        yield gateway


@pytest.fixture
def fresh(tmp_path):
    """A gateway that nobody has used."""
    with started(tmp_path) as gateway:
        yield gateway


@pytest.fixture(scope="session")
def chromium():
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    path = browser_path()
    if path is None:
        pytest.skip("there is no Chromium")
    with sync_api.sync_playwright() as playwright:
        # Root has no sandbox; what is looked at is our own.
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"] if os.geteuid() == 0 else [])
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium):
    """Opens a browser's window: `visit(gateway, key)` signs in. Whatever its policy refused or its script threw fails the test."""
    faults, contexts = [], []

    def open(gateway, key=None, **options):
        context = chromium.new_context(base_url=gateway.admin_url, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.append(message.text) if "Content Security Policy" in message.text else None)
        page.on("dialog", lambda dialog: (faults.append(dialog.message), dialog.dismiss()))
        if key is not None:
            page.goto("/")
            page.get_by_label("API key").fill(key)
            page.get_by_role("button", name="Sign in").click()
            page.get_by_role("heading", level=1, name="Overview").wait_for()
        return page

    yield open
    for context in contexts:
        context.close()
    assert not faults, faults


@pytest.fixture(scope="session")
def pictures():
    """Keeps a page as it looks, if somebody wants to see it."""
    folder = os.environ.get("TOLLGATE_SCREENSHOTS")

    def keep(page, name, full_page=True):
        if folder:
            pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
            page.screenshot(path=pathlib.Path(folder) / f"{name}.png", full_page=full_page)

    return keep
