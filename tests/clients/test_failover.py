"""An agent's turn that one provider begins and another, of another dialect, goes on with.

The key may call two providers, both have the model, and each speaks another dialect. What the first one thought is
signed or encrypted for itself: the other must not get it.
"""

import pytest

import test_claude
import test_codex
from scripted import Say
from test_claude import claude, run as run_claude  # noqa: F401 (fixtures)
from test_codex import codex, run as run_codex  # noqa: F401

PAIRS = ["chat-responses", "chat-messages", "responses-messages"]


def begins_here_goes_on_there(provider, call):
    """Whoever gets the first request calls a tool; then its dialect is overloaded."""

    def script(asked):
        if not asked.results:
            return Say("I will write it.", [call(asked)], "A file is wanted.")
        if asked.dialect == provider.asked[0].dialect:
            return Say("Overloaded", status=529)
        return Say(test_codex.FINAL)

    return script


def check(provider):
    first, *overloaded, last = provider.asked
    assert overloaded and {asked.dialect for asked in overloaded} == {first.dialect} != {last.dialect}
    assert list(last.results) == last.calls and len(last.calls) == 1
    assert last.thoughts == [], "what another provider signed is not for this one"
    assert "I will write it." in last.texts


@pytest.mark.parametrize("pair", PAIRS)
def test_claude_goes_on(run_claude, provider, pair):
    target = {"file_path": str(run_claude.work / "greeting.txt"), "content": test_claude.GREETING}
    provider.script = begins_here_goes_on_there(provider, lambda asked: asked.call("Write", target))
    test_claude.do(run_claude, pair)
    check(provider)


@pytest.mark.parametrize("model", test_codex.MODELS)
@pytest.mark.parametrize("pair", PAIRS)
def test_codex_goes_on(run_codex, provider, pair, model):
    provider.script = begins_here_goes_on_there(provider, lambda asked: asked.call(*test_codex.MODELS[model]))
    run_codex(test_codex.CUSTOM, pair, model)
    assert (run_codex.work / "greeting.txt").read_text() == test_codex.GREETING
    check(provider)
