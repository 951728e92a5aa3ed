"""What a soak starts: a provider that misbehaves, two gateways on one Redis, and one on SQLite, all on loopback.

Each is in a session of its own, so that a Ctrl-C reaches the soak alone, which then ends them by their process ids.

`redis-a` and `sqlite` live from the beginning to the end, so that a slow leak shows; `redis-b` is the one that is killed.
"""

import contextlib
import json
import pathlib
import re
import signal
import subprocess
import threading
import time

import gateways
from control import Redis
from gateways import ADMIN_KEY, MASTER_KEY, free_port, sha256

TOKEN = "tg-soak-g1-" + "S" * 43
LIMITED = "tg-limited-g1-" + "L" * 43
# Of the gateway that must live as long as the soak, and of the one that may not.
LASTING, KILLED = ("redis-a", "sqlite"), "redis-b"
# What `tollgate ledger verify` may take.
VERIFYING = 120


def configuration(demo, ledger, directory, keepalive):
    base = {"base_url": f"http://127.0.0.1:{demo}/v1", "passthrough": True}
    prices = {"input": 2, "output": 10}
    models = [{"id": id, "prices": prices} for id in ("echo", "thinking", "long", "slow", "no-usage")]
    failing = ("429-bare", "500", "503", "cut-early", "error-event", "overloaded", "cut")
    failing = [{"id": id, "prices": prices} for id in failing]

    def provider(id, *surfaces):
        return {**base, "id": id, "surfaces": list(surfaces), "managed_keys": [{"id": f"{id}-house", "value": f"soak-{id}"}]}

    every = [f"openai/{name}" for name in ("chat-completions", "completions", "responses", "embeddings")]
    return {
        "proxy": {"drain": "30s"},
        "ledger": {"journal": str(directory / "journal"), "processing_fee": 0.05, "retention": "1h", **ledger},
        # What a reload changes: the file differs each time, what is served does not.
        "timeouts": {"per_request": "5s", "total": "20s", "stream_idle": "10s", "keepalive": f"{keepalive}s"},
        "accounts": [{"id": name, "grants": [{"id": "soak", "usd": 1_000_000}]} for name in ("default", "limited")],
        "providers": [
            {**provider("good", *every, "anthropic/messages"), "models": models},
            # A provider of its own, so that no other one's breaker opens and no other one's key rests.
            {**provider("bad", "openai/chat-completions", "anthropic/messages"), "models": failing},
            {**provider("chat-only", "openai/chat-completions"), "models": models},
        ],
        "configurations": [
            {
                "id": "limited",
                "limits": {"requests_per_minute": 100_000, "tokens_per_minute": 100_000_000, "budget": {"usd": 100_000, "per": "day"}},
            }
        ],
        "access_keys": [
            {"id": "soak", "sha256": sha256(TOKEN)},
            {"id": "limited", "account": "limited", "configuration": "limited", "sha256": sha256(LIMITED)},
        ],
    }


class Member:
    """A gateway of the fleet: a process that can be killed, and started again as what it was."""

    def __init__(self, name, directory, ledger, demo):
        self.name = name
        self.directory = directory / name
        self.directory.mkdir()
        self.proxy, self.admin = free_port(), free_port()
        self.url, self.admin_url = f"http://127.0.0.1:{self.proxy}", f"http://127.0.0.1:{self.admin}"
        self.demo, self.ledger = demo, ledger
        self.file, self.errors = self.directory / "tollgate.yaml", self.directory / "stderr.log"
        self.log = self.directory / "access.log"
        self.reloads, self.process = 0, None
        self.lock = threading.Lock()
        self.write()

    def write(self):
        written = configuration(self.demo, self.ledger, self.directory, 15 + self.reloads % 2)
        written["proxy"]["listen"] = [f"127.0.0.1:{self.proxy}"]
        written["admin"] = {"listen": f"127.0.0.1:{self.admin}"}
        written["log"] = {"access": str(self.log)}
        # A file that is swapped, so that no gateway reads half of it.
        new = self.file.with_suffix(".new")
        new.write_text(json.dumps(written, indent=1))
        new.replace(self.file)

    def start(self):
        env = {**gateways.environment(), "TOLLGATE_ADMIN_KEY": ADMIN_KEY, "TOLLGATE_MASTER_KEY": MASTER_KEY}
        with self.errors.open("ab") as stderr:
            self.process = subprocess.Popen(
                [gateways.binary(), "run", "--config", self.file], cwd=self.directory, stderr=stderr, env=env, start_new_session=True
            )
        gateways.wait_until_ready(gateways.Gateway(self.url, self.admin_url, process=self.process), self.errors)

    def kill_and_start(self):
        """`kill -9`, and a new life on the same journal."""
        self.process.kill()
        self.process.wait()
        # What a signal may not be sent to while there is no process.
        with self.lock:
            self.start()

    def reload(self):
        """SIGHUP after the file has changed, as a configuration management and logrotate would."""
        with self.lock:
            self.reloads += 1
            self.write()
            with contextlib.suppress(FileNotFoundError):
                self.log.replace(self.log.with_suffix(".1"))
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGHUP)

    def metrics(self):
        """Values of the metrics, summed over their labels, and those of the ledger's terms and of reloads by label."""
        status, text = gateways.Gateway(self.url, self.admin_url).admin("/metrics")
        if status != 200:
            raise OSError(f"/metrics of {self.name} answered {status}")
        values = {}
        for line in text.splitlines():
            sample = re.fullmatch(r"(tollgate_\w+)(?:\{(.*)\})? (\S+)", line)
            if sample:
                name, labels, value = sample.groups()
                values[name] = values.get(name, 0) + float(value)
                if labels:
                    values[f"{name}{{{labels}}}"] = float(value)
        return values

    def resident(self):
        """KiB."""
        return int(self.status("VmRSS"))

    def threads(self):
        return int(self.status("Threads"))

    def status(self, name):
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return re.search(rf"^{name}:\s+(\d+)", text, re.MULTILINE)[1]

    def descriptors(self):
        return sum(1 for _ in pathlib.Path(f"/proc/{self.process.pid}/fd").iterdir())

    def verify(self):
        """Whether the books balance, and what `tollgate ledger verify` says of them."""
        done = subprocess.run(
            [gateways.binary(), "ledger", "verify", "--config", self.file],
            cwd=self.directory, env=gateways.environment(), capture_output=True, text=True, timeout=VERIFYING,
        )  # fmt: skip
        return done.returncode == 0, (done.stdout + done.stderr).strip()

    def stop(self):
        """Ends it gently, else by force; what it did not do well, in words."""
        if self.process is None or self.process.poll() is not None:
            return None if self.process is None else f"{self.name} ended by itself, with {self.process.returncode}"
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(45)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return f"{self.name} did not stop after SIGTERM"
        return None if code == 0 else f"{self.name} stopped with {code}"

    def panicked(self):
        return [line for line in self.errors.read_text(errors="replace").splitlines() if "panicked" in line]


class Fleet:
    """All processes. Whatever `start` has started, `stop` ends."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.members, self.provider, self.redis = [], None, None
        self.faults = []

    def start(self):
        self.redis = Redis(self.directory, durable=True)
        self.start_provider()
        on_redis = {"bank": "redis", "redis": {"url": self.redis.url}}
        for name, ledger in (("redis-a", on_redis), (KILLED, on_redis), ("sqlite", {"bank": "sqlite"})):
            member = Member(name, self.directory, ledger, self.demo)
            self.members.append(member)
            member.start()

    def start_provider(self):
        """The demo provider in a process of its own: what it uses is not a gateway's."""
        self.demo = free_port()
        directory = self.directory / "provider"
        directory.mkdir()
        admin = free_port()
        written = {
            "proxy": {"listen": [f"127.0.0.1:{free_port()}"]},
            "admin": {"listen": f"127.0.0.1:{admin}"},
            "demo": {"listen": f"127.0.0.1:{self.demo}"},
            "ledger": {"credits": "off", "sqlite": {"path": str(directory / "tollgate.db")}},
            "log": {"access": "off"},
        }
        file, errors = directory / "tollgate.yaml", directory / "stderr.log"
        file.write_text(json.dumps(written))
        with errors.open("ab") as stderr:
            self.provider = subprocess.Popen(
                [gateways.binary(), "run", "--config", file], cwd=directory, stderr=stderr, env=gateways.environment(),
                start_new_session=True,
            )  # fmt: skip
        gateways.wait_until_ready(gateways.Gateway(None, f"http://127.0.0.1:{admin}", process=self.provider), errors)

    def restart_redis(self, away):
        """Stops Redis as an operator would, and starts it on what it kept `away` seconds later."""
        self.redis.process.send_signal(signal.SIGTERM)
        self.redis.process.wait(30)
        time.sleep(away)
        self.redis = Redis(self.directory, self.redis.port, durable=True)

    def member(self, name):
        return next(member for member in self.members if member.name == name)

    def stop_gateways(self):
        """What did not end well, in words."""
        faults = [fault for member in self.members if (fault := member.stop())]
        faults += [f"{member.name}: {line}" for member in self.members for line in member.panicked()]
        return faults

    def stop(self):
        """Ends what still runs, by its process id."""
        for member in self.members:
            if member.process is not None and member.process.poll() is None:
                member.process.kill()
                member.process.wait()
        if self.provider is not None and self.provider.poll() is None:
            self.provider.kill()
            self.provider.wait()
        if self.redis is not None and self.redis.process.poll() is None:
            self.redis.stop()
