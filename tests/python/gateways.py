"""Gateway processes for the tests, and what no gateway may ever tell.

Every gateway that a test starts is asked at its end: did it panic, and is there a planted secret anywhere in what it
logged or stored? Secrets of these tests contain `PLANTED`, after their first ten characters (those are shown).
"""

import base64
import contextlib
import hashlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

PLANTED = "PLANTED"
ADMIN_KEY = "admin-key-" + PLANTED + "-0123456789abcdef"
MASTER_KEY = hashlib.sha256(b"the master key of the tests").hexdigest()


def sha256(token):
    return hashlib.sha256(token.encode()).hexdigest()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def binary():
    return os.environ["TOLLGATE_BIN"]


def forms(secret):
    """A secret as it might be written: as it is, as hexadecimal digits, and inside a longer text in base64."""
    if isinstance(secret, str):
        secret = secret.encode()
    yield secret
    yield secret.hex().encode()
    yield secret.hex().upper().encode()
    for alphabet in (base64.b64encode, base64.urlsafe_b64encode):
        for offset in range(3):
            # What is around it changes the first and the last characters.
            text = alphabet(b"\0" * offset + secret).rstrip(b"=")
            yield text[(offset * 8 + 5) // 6 : len(text) - 1]


def told(secrets, text):
    """The first of the secrets that a text tells, in any form; `None` if it tells none."""
    if isinstance(text, str):
        text = text.encode(errors="replace")
    for secret in secrets:
        if any(form in text for form in forms(secret)):
            return secret
    return None


def files(directory):
    """Everything that a gateway wrote: logs, the bank's files, the journal. Not what it was given."""
    for path in sorted(pathlib.Path(directory).rglob("*")):
        if path.is_file() and not path.name.startswith("tollgate.yaml"):
            yield path


def assert_untold(secrets, directory):
    for path in files(directory):
        found = told(secrets, path.read_bytes())
        assert found is None, f"{path.name} tells the secret {found!r}"


class Gateway:
    """Where a gateway is, and what to say to it."""

    def __init__(self, url, admin_url, key=None, narrow_key=None, log=None, process=None, stub=None, directory=None):
        self.url = url
        self.admin_url = admin_url
        self.key = key
        self.narrow_key = narrow_key
        self.log = log
        self.process = process
        self.stub = stub
        self.directory = directory

    def admin(self, path):
        """Status and text of an operators' page."""
        try:
            with urllib.request.urlopen(self.admin_url + path, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as answer:
            return answer.code, answer.read().decode()

    def log_entry(self, request_id):
        """The access log's line of a request; lines are written in batches, so it may take a moment."""
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            for line in self.log.read_text().splitlines():
                entry = json.loads(line)
                if entry["request_id"] == request_id:
                    return line, entry
            time.sleep(0.05)
        raise AssertionError(f"no access log line of request {request_id}")

    def command(self, *arguments, env=None, stdin=None):
        """A command of the same binary, beside this gateway."""
        return subprocess.run(
            [binary(), *arguments],
            cwd=self.directory,
            env={**environment(), **(env or {})},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
        )


def environment():
    """This process's, without what would configure a gateway."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TOLLGATE_") and name != "RUST_LOG"}


@contextlib.contextmanager
def running(directory, configuration, env=None, key=None, narrow_key=None, stub=None, secrets=()):
    """A gateway process. `configuration` is a dict, or makes one of the demo provider's URL: JSON is YAML, so no YAML
    library is needed. Its listeners and its access log are chosen here."""
    directory = pathlib.Path(directory)
    proxy, admin, demo = free_port(), free_port(), free_port()
    log, errors = directory / "access.log", directory / "stderr.log"
    if callable(configuration):
        configuration = configuration(f"http://127.0.0.1:{demo}")
    configuration = {
        **configuration,
        "proxy": {"listen": [f"127.0.0.1:{proxy}"], "drain": "10s", **configuration.get("proxy", {})},
        "admin": {"listen": f"127.0.0.1:{admin}", **configuration.get("admin", {})},
        "demo": {"listen": f"127.0.0.1:{demo}"},
        "log": {"access": str(log)},
    }
    file = directory / "tollgate.yaml"
    file.write_text(json.dumps(configuration, indent=2))
    with errors.open("ab") as stderr:
        process = subprocess.Popen(
            [binary(), "run", "--config", file], cwd=directory, stderr=stderr, env={**environment(), **(env or {})}
        )
    gateway = Gateway(
        f"http://127.0.0.1:{proxy}", f"http://127.0.0.1:{admin}", key, narrow_key, log, process, stub, directory
    )
    try:
        wait_until_ready(gateway, errors)
        yield gateway
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    text = errors.read_text(errors="replace")
    assert "panicked" not in text, text
    assert_untold([PLANTED, MASTER_KEY, *secrets], directory)


def wait_until_ready(gateway, errors):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if gateway.process.poll() is not None:
            break
        with contextlib.suppress(OSError):
            if gateway.admin("/readyz")[0] == 200:
                return
        time.sleep(0.05)
    raise AssertionError(f"the gateway did not start:\n{errors.read_text(errors='replace')}")
