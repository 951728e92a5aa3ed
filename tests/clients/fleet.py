"""Two gateways on one Redis, reached at one address, and what befalls them: one is killed, one is upgraded."""

import contextlib
import json
import os
import re
import signal
import socket
import socketserver
import subprocess
import threading
import time

import gateways
from control import Redis
from gateways import ADMIN_KEY, free_port


class Splice(socketserver.ThreadingTCPServer):
    """Joins each connection to the first of the ports that takes one, as a load balancer with a spare does."""

    daemon_threads, allow_reuse_address, request_queue_size = True, True, 128

    def __init__(self, ports):
        self.ports = ports
        super().__init__(("127.0.0.1", 0), None)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def finish_request(self, client, _):
        for port in self.ports:
            with contextlib.suppress(OSError):
                upstream = socket.create_connection(("127.0.0.1", port), 5)
                upstream.settimeout(None)
                break
        else:
            return
        with upstream:
            ways = (client, upstream), (upstream, client)
            for end in (client, upstream):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            back = threading.Thread(target=pump, args=ways[1], daemon=True)
            back.start()
            pump(*ways[0])
            back.join()

    def handle_error(self, *_):
        pass


def pump(source, target):
    """Carries bytes until either side ends, and then ends both."""
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


class Replica:
    """A gateway of the fleet; it keeps its directory, and so its journal, from one process to the next."""

    def __init__(self, directory, configuration, redis):
        self.directory = directory
        directory.mkdir()
        self.port, admin = free_port(), free_port()
        self.url, self.admin_url = f"http://127.0.0.1:{self.port}", f"http://127.0.0.1:{admin}"
        self.errors, self.pid = directory / "stderr.log", None
        own = {
            "proxy": {"listen": [f"127.0.0.1:{self.port}"], "drain": "20s"},
            "admin": {"listen": f"127.0.0.1:{admin}"},
            "ledger": {"bank": "redis", "redis": {"url": redis.url}, "flush": "100ms"},
            "log": {"access": str(directory / "access.log")},
        }
        (directory / "tollgate.yaml").write_text(json.dumps({**configuration, **own}, indent=2))

    def start(self):
        command = [gateways.binary(), "run", "--config", "tollgate.yaml"]
        with self.errors.open("ab") as stderr:
            self.process = subprocess.Popen(command, cwd=self.directory, stderr=stderr, env=self.environment())
        self.pid = self.process.pid
        gateways.wait_until_ready(gateways.Gateway(self.url, self.admin_url, process=self.process), self.errors)

    def environment(self):
        return {**gateways.environment(), "TOLLGATE_ADMIN_KEY": ADMIN_KEY}

    def command(self, *arguments):
        """What a command beside the gateway prints; it must succeed."""
        command = [gateways.binary(), *arguments]
        done = subprocess.run(command, cwd=self.directory, env=self.environment(), capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.pid = None

    def upgrade(self):
        """Has a new process take over."""
        self.command("upgrade", "--url", self.admin_url)
        (self.pid,) = re.findall(r"upgrade: process (\d+) has taken over", self.errors.read_text())[-1:]

    def stop(self):
        """Ends the process, and whoever took over from it."""
        for pid in {self.pid, self.process.pid if self.process.poll() is None else None} - {None}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGTERM)
        deadline = time.monotonic() + 30
        while self.pid and is_alive(self.pid):
            self.process.poll()
            assert time.monotonic() < deadline, f"process {self.pid} does not stop"
            time.sleep(0.02)
        self.process.wait(30)
        self.pid = None

    def log(self):
        """The access log's lines."""
        return [json.loads(line) for line in (self.directory / "access.log").read_text().splitlines()]

    def events(self):
        """Usage events that the ledger has."""
        return json.loads(self.command("usage", "--events", "--json", "--limit", "100000", "--config", "tollgate.yaml"))


def is_alive(pid):
    """Whether it runs; one that has ended and that nobody has asked about does not."""
    with contextlib.suppress(OSError):
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    return False


class Fleet:
    """Replicas `a` and `b` on one Redis behind a splice, which prefers `a`."""

    def __init__(self, directory, configuration):
        self.directory, self.configuration = directory, configuration

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.redis = Redis(self.directory)
            stack.callback(self.redis.stop)
            self.a, self.b = (Replica(self.directory / name, self.configuration, self.redis) for name in "ab")
            for replica in (self.a, self.b):
                replica.start()
                stack.callback(replica.stop)
            self.splice = Splice([self.a.port, self.b.port])
            stack.callback(self.splice.server_close)
            stack.callback(self.splice.shutdown)
            self.url = self.splice.url
            self.ended = stack.pop_all()
        return self

    def __exit__(self, *_):
        self.ended.close()
        for replica in (self.a, self.b):
            text = replica.errors.read_text(errors="replace")
            assert "panicked" not in text, text
