"""OpenAI's `codex`, one task done without anyone looking on. It speaks the Responses API only.

What codex 0.169.0 offers its model depends on the model's name. A model that it does not know gets functions, with
`exec_command` among them, a namespace and web search. `gpt-5.5` gets the custom tool `apply_patch` (a Lark grammar)
and `tool_search`, besides. `gpt-5.6-sol` has no `tools` at all: they come as an input item, `additional_tools` of the
role `developer`, with the namespaces `functions` and `collaboration`, and the shell is inside the custom tool `exec`,
whose input is JavaScript.
"""

import json
import os

import pytest

import cli
from control import eventually
from scripted import Say

TASK = "Write the greeting into the file greeting.txt, please."
GREETING = "hello from codex\n"
FINAL = "The greeting is in greeting.txt."
THOUGHT = "A file is wanted."
PROVIDERS = ["responses", "chat", "messages"]
SHELL = {"cmd": f"printf %s '{GREETING}' > greeting.txt"}

# A model's name, and how it writes the file: the tool, and its arguments.
MODELS = {
    "scripted": ("exec_command", SHELL),
    "gpt-5.5": ("apply_patch", f"*** Begin Patch\n*** Add File: greeting.txt\n+{GREETING}*** End Patch\n"),
    "gpt-5.6-sol": ("exec", f"text(await tools.exec_command({json.dumps(SHELL)}))"),
}

# A provider entry of one's own, and the built-in one with another address. The latter asks for a WebSocket (GET
# /v1/responses), prepares its first turn there, and sends only what is new in the next one.
CUSTOM = """
check_for_update_on_startup = false
model_provider = "tollgate"
[model_providers.tollgate]
name = "Tollgate"
base_url = "{url}/v1"
env_key = "TOLLGATE_KEY"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0
[analytics]
enabled = false
"""
BUILT_IN = """
check_for_update_on_startup = false
openai_base_url = "{url}/v1"
[analytics]
enabled = false
"""


@pytest.fixture(scope="module")
def codex():
    return cli.program("@openai/codex", "vendor/*/bin/codex")


@pytest.fixture
def run(codex, gateway, tmp_path):
    home = cli.Home(tmp_path)

    def run(settings, to, model):
        directory = home.home / ".codex"
        directory.mkdir()
        (directory / "config.toml").write_text(f'model = "{model}"\n' + settings.format(url=gateway.url))
        # Its own sandbox needs kernel features that a container rarely has.
        flags = ["--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"]
        key = gateway.key_for(to)
        done = home.run([codex, "exec", *flags, TASK], TOLLGATE_KEY=key, CODEX_API_KEY=key)
        assert done.returncode == 0, done.stderr[-3000:]
        assert done.stdout.strip() == FINAL, done.stderr[-3000:]

    run.work = home.work
    return run


def script_of(model):
    def script(asked):
        if asked.results:
            return Say(FINAL)
        return Say("I will write it.", [asked.call(*MODELS[model])], THOUGHT)

    return script


def valid_for(to, provider):
    """What reached the provider besides being valid, which the provider sees to itself."""
    first, second = provider.asked
    for asked in (first, second):
        assert asked.stream
        words = "\n".join(asked.system)
        assert "Codex" in words, "its instructions are the system's"
        assert any(TASK in text for text in asked.texts)
        assert any("sandbox" in text for text in asked.system + asked.texts), "a developer turn in the middle"
    assert first.tools and not first.results
    assert list(second.results) == second.calls and len(second.calls) == 1
    assert "I will write it." in second.texts, "what was said beside the call is remembered"
    if second.dialect == "openai/responses":
        assert second.thoughts == ["sealed-by-the-script"], "reasoning goes back as it came"
    if second.body.get("thinking", {"type": "disabled"})["type"] != "disabled":
        assert second.thoughts == ["c2lnbmVkIGJ5IHRoZSBzY3JpcHQ="], "a signature goes through codex and back"


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("to", PROVIDERS)
def test_writes_a_file(run, provider, charges, to, model):
    provider.script = script_of(model)
    run(CUSTOM, to, model)
    assert (run.work / "greeting.txt").read_text() == GREETING
    valid_for(to, provider)
    charges(to, 2)


@pytest.mark.parametrize("to", PROVIDERS)
def test_the_built_in_provider_with_another_address(run, gateway, provider, charges, to):
    sockets = lambda: [line for line in gateway.log() if line.get("status") == 101]
    before = len(sockets())
    provider.script = script_of("scripted")
    run(BUILT_IN, to, "scripted")
    assert (run.work / "greeting.txt").read_text() == GREETING
    valid_for(to, provider)
    charges(to, 2)
    eventually("a WebSocket's line", lambda: len(sockets()) > before)
    turns = lambda: [line for line in gateway.log() if line["request_id"].startswith(sockets()[-1]["request_id"] + "-")]
    eventually("its two turns", lambda: len(turns()) == 2)


def test_is_launched(codex, gateway, provider, tmp_path):
    provider.script = script_of("scripted")
    home = cli.Home(tmp_path)
    (home.home / "codex").symlink_to(codex)
    flags = ["--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", "-m", "scripted"]
    command = [gateway.binary, "codex", "--url", gateway.url, "exec", *flags, TASK]
    where = f"{home.home}:{os.environ['PATH']}"
    done = home.run(command, TOLLGATE_KEY=gateway.key_for("messages"), PATH=where)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (home.work / "greeting.txt").read_text() == GREETING
    assert len(provider.asked) == 2


@pytest.mark.parametrize("to", PROVIDERS)
def test_looks_at_a_picture(run, provider, to):
    picture = run.work / "red.png"
    picture.write_bytes(cli.picture())
    look = lambda asked: Say(calls=[asked.call("view_image", {"path": str(picture)})])
    provider.script = lambda asked: Say(FINAL) if asked.results else look(asked)
    run(CUSTOM, to, "scripted")
    (image,) = provider.asked[1].images
    assert image.startswith("data:image/")


@pytest.mark.parametrize("to", PROVIDERS)
def test_compacts_its_context(run, provider, to):
    # With a provider entry of one's own this is an ordinary turn, which has no tools though the conversation has
    # calls. Anthropic refuses that, so it is told the tools that were called. The built-in provider sends an item `compaction_trigger` instead, which only OpenAI's servers understand:
    # between dialects it is refused with 422, and codex gives up after two more tries.
    def script(asked):
        assert len(provider.asked) < 9, "codex compacts again and again"
        if any("CONTEXT CHECKPOINT COMPACTION" in text for text in asked.texts):
            return Say("The summary: it is written.")
        if any("The summary: it is written." in text for text in asked.texts):
            return Say(FINAL)
        return script_of("scripted")(asked)

    provider.script = script
    run("model_auto_compact_token_limit = 900\n" + CUSTOM, to, "scripted")
    _, compacting, after = provider.asked
    assert compacting.results
    told = {"exec_command"} if to == "messages" else set()
    assert set(compacting.tools) == told
    assert after.tools and not after.results, "goes on from the summary"
