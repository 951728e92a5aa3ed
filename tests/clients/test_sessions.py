"""Long sessions of agents: two dozen tool turns while a key cools, a replica is killed and another one upgraded.

All agents work at once behind two gateways, each over HTTP or a WebSocket with a provider of its own dialect or another's,
and each provider is one that keeps prompts as real ones do. In the middle of each session its key is refused for a
second. Later, when each agent has half an answer, the gateway that all of them use is killed, and they go on with the
other one; and again, when each has half an answer, that one hands over to a new process. The same agents work without a
gateway, and without trouble, to tell how much of their prompts the caches would have had.
"""

import collections
import concurrent.futures
import dataclasses
import hashlib
import threading
import time

import pytest

import cli
import test_claude
import test_codex
from fleet import Fleet
from scripted import PromptCache, Provider, Say
from test_claude import claude  # noqa: F401 (fixtures)
from test_codex import codex  # noqa: F401

TURNS = 24
COOLS, KILLED, UPGRADED = 6, 12, 18
# How long the cool-down is (seconds), and the turn that takes until its end, or else how many turns it takes were chance: a
# mark finds nothing that was said more than 20 blocks before, and a replica hears of a cool-down within a second.
COOL, COOLED = 1, 8
# What a turn takes by the caches' clock (seconds), so that what is not met for a while is not kept.
PACE = 20
FINAL = "All steps are done."
TASK = "Do the steps one after another, please, each when the one before is done."
SURFACES = {"chat": "openai/chat-completions", "responses": "openai/responses", "messages": "anthropic/messages"}
PRICES = {"input": 2, "cached_read": 0.2, "cache_write": 2.5, "output": 10}

# What a provider of a surface has; agents call it by the name that they know.
HAS = {"chat": "gpt-5.5", "responses": "gpt-5.5", "messages": "claude-sonnet-5"}

RETRYING = test_codex.CUSTOM.replace("request_max_retries = 0\nstream_max_retries = 0\n", "")
# An agent, the model that it calls, and its settings.
AGENTS = {
    "codex-custom": ("scripted", RETRYING),
    "codex-built-in": ("gpt-5.5", test_codex.BUILT_IN),
    "claude": ("claude-sonnet-5", None),
}
RUNS = [(agent, to) for agent in AGENTS for to in SURFACES]


@dataclasses.dataclass
class Answer:
    """What a provider said, and whether a client got it whole."""

    turn: int
    key: str
    usage: object
    cut: bool = False


class Session:
    """One agent's work: what it is told, and what the provider saw of it."""

    def __init__(self, agent, to):
        self.agent, self.to = agent, to
        self.id = f"{agent}-{to}" if to else f"{agent}-direct"
        self.caches = collections.defaultdict(PromptCache)
        self.answers, self.refused, self.past = [], 0, set()
        self.cooling = None
        self.key = f"tg-{self.id}-g1-" + hashlib.sha256(self.id.encode()).hexdigest()[:43]
        self.done = None

    def first_time(self, moment):
        return self.to is not None and moment not in self.past and not self.past.add(moment)

    def say(self, asked, moments):
        turn = len(asked.results) + 1
        if turn == COOLS and self.first_time(COOLS):
            self.cooling = (asked.credential, time.monotonic() + COOL)
        if self.cooling and self.cooling[0] == asked.credential and time.monotonic() < self.cooling[1]:
            self.refused += 1
            return Say("Too many requests", status=429, retry_after=COOL)
        if turn == COOLED and self.cooling:
            time.sleep(max(0, self.cooling[1] - time.monotonic()))
        say = Say(FINAL) if turn > TURNS else Say(f"Step {turn} is next.", [self.step(asked, turn)], "One more step.")
        if turn in moments and self.first_time(turn):
            say.midway = lambda: self.in_the_middle(turn, moments[turn])
        return say

    def in_the_middle(self, turn, moment):
        (answer,) = [answer for answer in self.answers if answer.turn == turn]
        answer.cut = turn == KILLED
        moment.wait()

    def step(self, asked, turn):
        said = f"Step {turn} was done. " * 20
        if self.agent == "claude":
            return asked.call("Write", {"file_path": str(self.home.work / f"step-{turn}.txt"), "content": said})
        return asked.call("exec_command", {"cmd": f"echo '{said}' | tee step-{turn}.txt"})

    def meter(self, asked, prompt, number):
        turn = len(asked.results) + 1
        usage = self.caches[asked.credential].meet(asked, prompt, now=turn * PACE)
        # By this number its charge is told from all others.
        usage.output = number
        self.answers.append(Answer(turn, asked.credential, usage))
        return usage

    def run(self, program, url, directory):
        directory.mkdir()
        self.home = cli.Home(directory)
        model, settings = AGENTS[self.agent]
        key = self.key if self.to else f"{self.id}.only"
        if settings is None:
            command = [program, "-p", TASK, "--model", model, "--permission-mode", "acceptEdits", "--allowedTools", "Write"]
            environment = {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": key, **test_claude.QUIET}
        else:
            (self.home.home / ".codex").mkdir()
            (self.home.home / ".codex/config.toml").write_text(f'model = "{model}"\n' + settings.format(url=url))
            command = [program, "exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", TASK]
            environment = {"TOLLGATE_KEY": key, "CODEX_API_KEY": key}
        self.done = self.home.run(command, timeout=120, **environment)

    def hits(self):
        """Which part of all that was asked the cache had."""
        return sum(answer.usage.cached for answer in self.answers) / sum(answer.usage.prompt for answer in self.answers)


def configuration(provider, sessions):
    def entry(session):
        aliases = sorted({AGENTS[session.agent][0]} - {HAS[session.to]})
        keys = [{"id": f"{session.id}-{n}", "value": f"{session.id}.{n}"} for n in ("one", "two")]
        return {
            "id": session.id,
            "base_url": f"http://127.0.0.1:{provider.port}",
            "surfaces": [SURFACES[session.to]],
            "managed_keys": keys,
            "models": [{"id": HAS[session.to], "aliases": aliases, "max_output_tokens": 64000, "prices": PRICES}],
        }

    access = lambda session: {"id": session.id, "access": {"providers": {"allow": [session.id]}}}
    digest = lambda session: hashlib.sha256(session.key.encode()).hexdigest()
    return {
        "key_selection": "session",
        "accounts": [{"id": "default", "grants": [{"id": "tests", "usd": 1000}]}],
        "providers": [entry(session) for session in sessions],
        "configurations": [access(session) for session in sessions],
        "access_keys": [{"id": s.id, "configuration": s.id, "sha256": digest(s)} for s in sessions],
    }


class Campaign:
    """All sessions, those without a gateway too, and what the ledger has of them."""

    def __init__(self, directory, programs):
        self.sessions = {run: Session(*run) for run in RUNS}
        self.direct = {agent: Session(agent, None) for agent in AGENTS}
        all = [*self.sessions.values(), *self.direct.values()]
        self.by_id = {session.id: session for session in all}
        self.numbers, self.lock = 1000, threading.Lock()
        with Provider() as provider:
            provider.script, provider.meter, provider.is_asked_directly = self.say, self.meter, True
            with Fleet(directory, configuration(provider, self.sessions.values())) as fleet:
                together = len(self.sessions)
                self.moments = {
                    KILLED: threading.Barrier(together, fleet.a.kill, timeout=60),
                    UPGRADED: threading.Barrier(together, fleet.b.upgrade, timeout=60),
                }
                with concurrent.futures.ThreadPoolExecutor(len(all)) as pool:
                    url = {True: fleet.url, False: f"http://127.0.0.1:{provider.port}"}
                    program = lambda session: programs[session.agent.partition("-")[0]]
                    begun = [
                        pool.submit(self.run, session, program(session), url[session.to is not None], directory / session.id)
                        for session in all
                    ]
                for run in begun:
                    run.result()
                self.faults = provider.faults
                # What it owes is found in its journal.
                fleet.a.start()
                self.events = collections.defaultdict(list)
                for event in self.settled(fleet.a):
                    self.events[event["accessKeyId"]].append(event)
                self.books = fleet.a.command("ledger", "verify", "--config", "tollgate.yaml")
            self.log = [*fleet.a.log(), *fleet.b.log()]

    def run(self, session, *arguments):
        try:
            session.run(*arguments)
        finally:
            # Nobody waits for one that has failed.
            if session.to and not {KILLED, UPGRADED} <= session.past:
                for moment in self.moments.values():
                    moment.abort()

    def say(self, asked):
        return self.by_id[asked.credential.partition(".")[0]].say(asked, self.moments)

    def meter(self, asked, prompt):
        with self.lock:
            self.numbers += 1
            number = self.numbers
        return self.by_id[asked.credential.partition(".")[0]].meter(asked, prompt, number)

    def settled(self, replica):
        asked = sum(len(session.answers) + session.refused for session in self.sessions.values())
        deadline = time.monotonic() + 10
        while len(events := replica.events()) < asked and time.monotonic() < deadline:
            time.sleep(0.1)
        return events


@pytest.fixture(scope="module")
def campaign(claude, codex, tmp_path_factory):  # noqa: F811
    return Campaign(tmp_path_factory.mktemp("sessions"), {"claude": claude, "codex": codex})


@pytest.mark.parametrize("agent, to", RUNS)
def test_a_long_session_ends_well_and_meets_its_cache(campaign, agent, to):
    session, direct = campaign.sessions[agent, to], campaign.direct[agent]
    for one in (session, direct):
        assert one.done.returncode == 0 and one.done.stdout.strip() == FINAL, one.done.stdout + one.done.stderr[-3000:]
        assert len(list(one.home.work.glob("step-*.txt"))) == TURNS
    turns = collections.Counter(answer.turn for answer in session.answers)
    again = {turn: count for turn, count in turns.items() if count > 1}
    assert (sorted(turns), again) == ([*range(1, TURNS + 2)], {KILLED: 2}), "each turn once but for the one that was cut"
    assert session.refused == 1 and len({answer.key for answer in session.answers}) == 2
    assert session.hits() >= 0.95 * direct.hits(), "of all prompts, the caches have what they have of direct ones"


@pytest.mark.parametrize("agent, to", RUNS)
def test_each_turn_of_it_is_charged_once(campaign, agent, to):
    session = campaign.sessions[agent, to]
    events = campaign.events[session.id]
    orphans = [event for event in events if event["orphaned"]]
    refused = [event for event in events if event["statusCode"] == 429]
    served = [event for event in events if not event["orphaned"] and event["statusCode"] != 429]
    figures = ("inputTokens", "cacheReadTokens", "cacheWriteTokens", "outputTokens")
    told = lambda usage: (usage.prompt, usage.cached, usage.written, usage.output)
    whole = sorted(told(answer.usage) for answer in session.answers if not answer.cut)
    assert sorted(tuple(event[name] for name in figures) for event in served) == whole
    assert all(float(event["totalCost"]) > 0 and not event["estimated"] for event in served)
    assert len(orphans) == 1 and float(orphans[0]["totalCost"]) > 0, "what the dead gateway had begun"
    assert [float(event["totalCost"]) for event in refused] == [0.0] * session.refused


@pytest.mark.parametrize("agent, to", RUNS)
def test_it_is_over_http_or_one_socket_a_gateway(campaign, agent, to):
    lines = [line for line in campaign.log if line["access_key"] == campaign.sessions[agent, to].id]
    # That of the gateway that was killed had no end.
    sockets = [line["request_id"] for line in lines if line["status"] == 101]
    turns = [line for line in lines if line["request_id"].rpartition("-")[0] in sockets]
    expected = (2, TURNS + 2 - KILLED) if agent == "codex-built-in" else (0, 0)
    assert (len(sockets), len(turns)) == expected


def test_nothing_else_was_asked_and_the_books_balance(campaign):
    assert campaign.faults == [], "requests that a real provider refuses"
    assert set(campaign.events) == {session.id for session in campaign.sessions.values()}
    assert "balance" in campaign.books, campaign.books
