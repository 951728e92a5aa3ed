"""Anthropic's `claude` (Claude Code), one task done without anyone looking on. It speaks the Messages API only.

Told 400, claude 2.1.330 asks again up to five times with ever less: without the beta `thinking-token-count`, without
`thinking.display`, and then without `advanced-tool-use`, which makes 12 tools 21 and 87 KB of request 119 KB.
"""

import os

import pytest

import cli
from control import eventually
from scripted import Say

TASK = "Write the greeting into the file greeting.txt, please."
GREETING = "hello from claude\n"
FINAL = "The greeting is in greeting.txt."
THOUGHT = "A file is wanted."
PROVIDERS = ["messages", "chat", "responses"]
QUIET = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_TELEMETRY": "1",
    "DISABLE_ERROR_REPORTING": "1",
}


@pytest.fixture(scope="module")
def claude():
    return cli.program("@anthropic-ai/claude-code", "claude")


@pytest.fixture
def run(claude, gateway, tmp_path):
    home = cli.Home(tmp_path)

    def run(to, *arguments, **credential):
        done = home.run(
            [claude, "-p", *arguments, "--model", "claude-sonnet-5"],
            ANTHROPIC_BASE_URL=gateway.url,
            **QUIET,
            **(credential or {"ANTHROPIC_API_KEY": gateway.key_for(to)}),
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run.work = home.work
    return run


@pytest.fixture
def script(run):
    """Two calls at once, by the tool for it and by the shell, then a word about it."""

    def script(asked):
        if asked.results:
            return Say(FINAL)
        write = asked.call("Write", {"file_path": str(run.work / "greeting.txt"), "content": GREETING})
        bash = asked.call("Bash", {"command": "printf done > by-the-shell.txt", "description": "Notes that it is done"})
        return Say("I will write it.", [write, bash], THOUGHT)

    return script


def do(run, to, **credential):
    said = run(to, TASK, "--permission-mode", "acceptEdits", "--allowedTools", "Write,Bash", **credential)
    assert said.strip() == FINAL
    assert (run.work / "greeting.txt").read_text() == GREETING


@pytest.mark.parametrize("to", PROVIDERS)
def test_writes_a_file(run, script, provider, charges, to):
    provider.script = script
    do(run, to)
    assert (run.work / "by-the-shell.txt").read_text() == "done"

    first, second = provider.asked
    for asked in (first, second):
        assert asked.stream
        assert "You are a Claude agent" in "\n".join(asked.system)
        assert any("# Environment" in text for text in asked.system), "the system turn in the middle of the messages"
        assert any(TASK in text for text in asked.texts)
        assert asked.tools["Write"].schema["required"] == ["file_path", "content"]
        assert len(asked.tools) >= 10
    assert list(second.results) == second.calls and len(second.calls) == 2, "both calls have their results, in order"
    assert "I will write it." in second.texts, "what was said beside the calls is remembered"
    proof = {"messages": ["c2lnbmVkIGJ5IHRoZSBzY3JpcHQ="], "responses": ["sealed-by-the-script"], "chat": []}
    assert second.thoughts == proof[to], "what proves a thought goes through claude and back to who made it"
    charges(to, 2)


def test_is_launched(claude, gateway, provider, tmp_path):
    provider.script = lambda asked: Say(FINAL)
    home = cli.Home(tmp_path)
    (home.home / "claude").symlink_to(claude)
    key = tmp_path / "key"
    key.write_text(gateway.key_for("chat"))
    access = ["--url", f"{gateway.url}/v1", "--key-file", str(key)]
    where = f"{home.home}:{os.environ['PATH']}"
    command = [gateway.binary, "claude", *access, "-p", TASK, "--model", "claude-sonnet-5"]
    done = home.run(command, PATH=where, **QUIET)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip() == FINAL


@pytest.mark.parametrize("to", PROVIDERS)
def test_looks_at_a_picture(run, provider, to):
    # It is in the tool's result, where chat completions have no room for it.
    picture = run.work / "red.png"
    picture.write_bytes(cli.picture())
    look = lambda asked: Say(calls=[asked.call("Read", {"file_path": str(picture)})])
    provider.script = lambda asked: Say(FINAL) if asked.results else look(asked)
    assert run(to, "What is in red.png?").strip() == FINAL
    (image,) = provider.asked[1].images
    assert image.startswith("data:image/")


@pytest.mark.parametrize("to", PROVIDERS)
def test_looks_for_a_deferred_tool(run, provider, to):
    # The result of ToolSearch is a block {"type": "tool_reference", "tool_name": "WebFetch"}, and the next request
    # has that tool among its `tools`, with `defer_loading`. Refused once, claude gives up searching and sends all.
    def script(asked):
        if len(asked.results) == 1:
            return Say(FINAL)
        return Say("", [asked.call("ToolSearch", {"query": "select:WebFetch", "max_results": 1})], THOUGHT)

    provider.script = script
    assert run(to, TASK).strip() == FINAL
    first, second = provider.asked
    assert "WebFetch" not in first.tools and "WebFetch" in second.tools
    assert "WebFetch" in second.results[second.calls[0]], "which the result refers to"


def test_a_bearer_token_serves_as_well(run, script, provider, gateway):
    provider.script = script
    do(run, "messages", ANTHROPIC_AUTH_TOKEN=gateway.key_for("messages"))


@pytest.mark.parametrize("to", PROVIDERS)
def test_context_counts_tokens_in_a_burst(run, provider, gateway, to):
    # Some two dozen count_tokens requests at once. A provider of OpenAI's has nothing of the kind: the gateway counts.
    before = len(gateway.log())
    said = run(to, "/context")
    assert "Context Usage" in said and "Free space" in said, said
    # Lines are written in batches.
    counted = lambda: [line for line in gateway.log()[before:] if line["path"] == "/v1/messages/count_tokens"]
    eventually("more than ten counts", lambda: len(counted()) > 10)
    refused = [line for line in counted() if line.get("status") != 200]
    assert not refused, "\n".join(map(str, refused))
