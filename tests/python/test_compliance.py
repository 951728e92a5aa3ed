"""What others hold gateways to, natively and through every translation: llm-comply, which holds answers against the
published schemas, and CompatCanary, which tries what clients of OpenAI's API do."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

import gateways
from gateways import PLANTED, sha256

CANARY = pathlib.Path(__file__).parents[1] / "clients/node_modules/compatcanary/src/cli.js"

KEY = "tg-comply-g1-" + PLANTED + "A" * 36
SURFACES = {
    "native": ["openai/chat-completions", "openai/responses", "anthropic/messages"],
    "chat": ["openai/chat-completions"],
    "responses": ["openai/responses"],
    "messages": ["anthropic/messages"],
}
# Which tests are about reasoning is told by the model's name. Events of reasoning are not known to the tool.
THINKING = "gpt-5-and-claude-sonnet-4"
REASONS = {
    "open-responses": "reasoning-summary",
    "anthropic": "anth-thinking-display",
    "openai-chat": "chat-reasoning-summary",
}
TESTS = {"open-responses": 13, "anthropic": 9, "openai-chat": 9}


@pytest.fixture(scope="module", params=SURFACES)
def url(request, tmp_path_factory):
    """A gateway in front of the demo provider, on some of its surfaces."""
    if "TOLLGATE_BIN" not in os.environ:
        pytest.skip("needs TOLLGATE_BIN")

    def configuration(demo):
        provider = {
            "id": "judged",
            "base_url": demo,
            "surfaces": SURFACES[request.param],
            "keys": [{"id": "judged", "value": "any"}],
            "models": [
                {"id": "echo", "capabilities": {"structured_output": True}},
                {"id": "thinking", "aliases": [THINKING]},
            ],
        }
        return {
            "accounts": [{"id": "default", "grants": [{"id": "tests", "usd": 1000}]}],
            "providers": [provider],
            "access_keys": [{"id": "comply", "sha256": sha256(KEY)}],
        }

    with gateways.running(tmp_path_factory.mktemp("comply"), configuration) as gateway:
        yield f"{gateway.url}/v1"


def judged(url, model, kind, *options):
    command = [sys.executable, "-m", "llm_comply.cli", "-u", url, "-k", KEY, "-m", model, "--format", kind, "--json"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=60)
    try:
        return json.loads(done.stdout)["results"]
    except (ValueError, KeyError):
        raise AssertionError(done.stdout + done.stderr) from None


@pytest.mark.parametrize("kind", TESTS)
def test_every_answer_is_what_its_schema_asks_for(url, kind):
    pytest.importorskip("llm_comply")
    results = judged(url, "judged:echo", kind)
    results = [result for result in results if result["id"] != REASONS[kind]]
    results += judged(url, f"judged:{THINKING}", kind, "--filter", REASONS[kind])
    failed = {result["id"]: result["errors"] for result in results if result["status"] != "passed"}
    assert failed == {}
    assert len(results) == TESTS[kind]


def test_clients_of_openai_find_what_they_look_for(url):
    if not CANARY.exists() or not shutil.which("node"):
        pytest.skip("CompatCanary is not installed (`.ci/tools test` installs it)")
    command = ["node", CANARY, "scan", "--base-url", url, "--model", "echo", "--format", "json", "--fail-on", "any"]
    done = subprocess.run([*command, "--api-key", KEY], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads(done.stdout)["summary"]
    assert (summary["passes"], summary["warnings"], summary["failures"]) == (7, 0, 0), summary
