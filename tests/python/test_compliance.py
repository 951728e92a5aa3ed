"""What others hold gateways to, natively and through every translation: llm-comply, which holds answers against the
published schemas, and CompatCanary, which tries what clients of OpenAI's API do.

Open Responses' own suite (17 tests, of 2026-04-24; it needs Bun) has ten over HTTP, which llm-comply has as well, and seven
over a WebSocket, which stand here. Not applicable are the two that want `POST /responses/compact` to answer, over HTTP
`compact-response` and over a WebSocket `websocket-compact-new-chain`: the gateway has no such path, and says 404.
"""

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from websockets.sync.client import connect

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


class Turn:
    """What a server says over a WebSocket to one `response.create`; each event is what its schema asks for."""

    def __init__(self, socket, **said):
        schema = pytest.importorskip("llm_comply.schema")
        spec = schema.SpecLoader(str(schema._BUNDLED_SPEC))
        socket.send(json.dumps({"type": "response.create", "model": "judged:echo", "store": False, **said}))
        self.kinds, self.response, self.error = [], None, None
        while not self.response and not self.error:
            event = json.loads(socket.recv(timeout=10))
            self.kinds.append(event["type"])
            if event["type"] == "error":
                faults, self.error = spec.validate(event, "WebSocketErrorEvent"), event["error"]["code"]
            else:
                faults = spec.validate_sse_event(event["type"], event)
                if event["type"] in schema.TERMINAL_EVENTS:
                    self.response = event["response"]
            assert faults == [], event

    @property
    def id(self):
        """Of a response that was completed, with an output."""
        assert self.response["status"] == "completed" and self.response["output"], self.kinds
        return self.response["id"]


def websocket_response(open):
    assert Turn(open(), input=[{"type": "message", "role": "user", "content": "Count from 1 to 3."}]).id


def websocket_sequential_responses(open):
    socket = open()
    assert Turn(socket, input="Reply with exactly: first").id != Turn(socket, input="Reply with exactly: second").id


def websocket_continuation(open):
    socket = open()
    first = Turn(socket, input="Remember the code word: cobalt. Reply with OK.")
    second = Turn(socket, input="Which word was it?", previous_response_id=first.id)
    assert second.id != first.id


def websocket_reconnect_store_false_recovery(open):
    first = Turn(open(), input="Remember the code word: copper. Reply with OK.")
    socket = open()
    assert Turn(socket, input="Which word was it?", previous_response_id=first.id).error == "previous_response_not_found"
    assert Turn(socket, input="The code word is copper. Which word is it?").id


def websocket_previous_response_not_found(open):
    lost = Turn(open(), input="This should fail.", previous_response_id="resp_that_nobody_gave")
    assert lost.error == "previous_response_not_found"


def websocket_failed_continuation_evicts_cache(open):
    socket = open()
    first = Turn(socket, input="Remember the code word: ember. Reply with OK.")
    result = {"type": "function_call_output", "call_id": "call_that_nobody_made", "output": "Nothing."}
    assert Turn(socket, input=[result], previous_response_id=first.id).error
    again = Turn(socket, input="Which word was it?", previous_response_id=first.id)
    assert again.error == "previous_response_not_found"


OVER_A_WEBSOCKET = [
    websocket_response,
    websocket_sequential_responses,
    websocket_continuation,
    websocket_reconnect_store_false_recovery,
    websocket_previous_response_not_found,
    websocket_failed_continuation_evicts_cache,
]


@pytest.mark.parametrize("passes", OVER_A_WEBSOCKET)
def test_websockets_do_what_open_responses_asks_for(url, passes):
    with contextlib.ExitStack() as stack:
        address, headers = url.replace("http", "ws", 1) + "/responses", {"authorization": f"Bearer {KEY}"}
        passes(lambda: stack.enter_context(connect(address, additional_headers=headers, proxy=None)))
