"""Whether gateways are the same after a while: `make soak`, or `python tests/soak/soak.py --time 3600`.

Two gateways on one Redis and one on SQLite, with the demo provider, which misbehaves, get mixed traffic: every surface, whole
and streamed, translated, failing over, WebSockets, clients that leave. Meanwhile their files change and they are told to reload,
access keys come and go over the admin API, Redis is restarted, and one gateway is killed and started again.

Everything is on loopback and in a temporary folder, and ends with this program, however that ends. Intervals are those of an
hour where the time is an hour or more, and shrink with it: a minute between samples, ten between kills. Memory and latency are
judged where the run is half an hour at least; a shorter one shows that it works. Ctrl-C ends a run early, and it is judged.

Exit code: 0 if all held, 1 if something did not, 2 if it could not begin, 130 if it was interrupted.
"""

import argparse
import collections
import contextlib
import json
import math
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "python"))

import httpx  # noqa: E402

from fleet import KILLED, LASTING, LIMITED, TOKEN, Fleet  # noqa: E402
from gateways import ADMIN_KEY  # noqa: E402
from watch import DESCRIPTORS, GROWTH, PROBES, SLOWER, Probe, Sample, Windows, grown, head, percentile, row  # noqa: E402

# Below it memory still settles, and a percentile is a handful of requests.
JUDGED = 1800
# How long a gateway may take to be rid of what was under way: pooled connections, answers that are read on.
QUIET = 120
# After a gateway or its bank is back: retries, pooled connections of clients that are dead, what waited for the bank.
AFTERWARDS = 10


class Soak:
    def __init__(self, options, fleet):
        self.options, self.fleet = options, fleet
        self.stop = threading.Event()
        self.windows = Windows()
        self.clock = threading.Lock()
        # One thing at a time is broken; reloads and keys do not wait for that.
        self.breaking = threading.Lock()
        self.counts = collections.Counter()
        self.done, self.faults = collections.Counter(), []
        self.samples = collections.defaultdict(list)
        self.idle, self.failures = {}, []
        # What is ten minutes in an hour.
        self.unit = min(600, options.time / 6)
        self.afterwards = min(AFTERWARDS, max(2, self.unit / 10))

    def every(self, seconds, name, act, first=None):
        """A thread that does something again and again, until the end."""

        def run():
            if self.stop.wait(seconds if first is None else first):
                return
            while True:
                begun = time.monotonic()
                try:
                    act()
                    self.counts[name] += 1
                except Exception as error:
                    self.failures.append(f"{name}: {type(error).__name__} {error}"[:300])
                if self.stop.wait(max(0.1, seconds - (time.monotonic() - begun))):
                    return

        thread = threading.Thread(target=run, name=name)
        thread.start()
        return thread

    def kill(self):
        with self.breaking:
            window = self.windows.begin((KILLED,))
            self.fleet.member(KILLED).kill_and_start()
            window["to"] = time.monotonic() + self.afterwards

    def restart_redis(self):
        with self.breaking:
            window = self.windows.begin(("redis-a", KILLED))
            self.fleet.restart_redis(min(2, self.unit / 10))
            window["to"] = time.monotonic() + self.afterwards

    def reload(self):
        for member in self.fleet.members:
            member.reload()

    def churn(self):
        """A key is made at one gateway, works at all that share its store within a second, and so it ends."""
        making, using = random.choice([("redis-a", KILLED), (KILLED, "redis-a"), ("sqlite", "sqlite")])
        begun = time.monotonic()
        try:
            self.walk(self.fleet.member(making), self.fleet.member(using))
        except (httpx.HTTPError, AssertionError) as error:
            fault = {"at": time.monotonic(), "member": making, "kind": "key", "what": f"transport: {error}"}
            # Either side of it may have been away, at any time meanwhile.
            if not any(self.windows.excuse({**fault, "member": name, "at": at}) for name in (making, using) for at in (begun, fault["at"])):
                self.faults.append({**fault, "what": str(error)})

    def walk(self, making, using):
        headers = {"authorization": f"Bearer {ADMIN_KEY}"}
        with httpx.Client(base_url=making.admin_url, headers=headers, timeout=20, trust_env=False) as api:
            made = api.post("/access-keys", json={"name": "soak"})
            assert made.status_code == 201, f"a key was not made: {made.status_code}"
            key = made.json()
            self.until(using, key["token"], 200, "a new key works")
            changed = api.patch(f"/access-keys/{key['id']}", json={"name": "renamed"})
            assert changed.status_code == 200, f"a key was not changed: {changed.status_code}"
            gone = api.delete(f"/access-keys/{key['id']}")
            assert gone.status_code == 204, f"a key was not deleted: {gone.status_code}"
            self.until(using, key["token"], 401, "a deleted key is refused")

    def until(self, member, token, status, what):
        """A second is promised; the second one is for a machine that is busy."""
        end = time.monotonic() + 2
        body = {"model": "good:echo", "messages": [{"role": "user", "content": "Hello"}]}
        while True:
            answer = httpx.post(
                f"{member.url}/v1/chat/completions", json=body, headers={"authorization": f"Bearer {token}"}, timeout=20, trust_env=False
            )
            if answer.status_code == status:
                return
            assert time.monotonic() < end, f"not within 2 s: {what}; {answer.status_code}"
            time.sleep(0.05)

    def listen(self, traffic):
        """Takes in what the clients tell."""
        for line in traffic.stdout:
            told = json.loads(line)
            with self.clock:
                self.done.update(told["done"])
                self.faults += told["faults"]

    def judge(self, faults):
        """(excused, not excused)"""
        excused, real = [], []
        for fault in faults:
            (excused if self.windows.excuse(fault) else real).append(fault)
        return excused, real

    def sample(self, begun, probes, seen):
        """One row a gateway."""
        now = time.monotonic()
        with self.clock:
            done, faults = sum(self.done.values()) - seen["done"], self.faults[seen["faults"] :]
            seen["done"] += done
            seen["faults"] += len(faults)
        passed, seen["at"] = now - seen["at"], now
        for member in self.fleet.members:
            try:
                sample = Sample.of(member, now - begun)
            except (OSError, TypeError) as error:
                print(f"{member.name} cannot be looked at now: {error}", flush=True)
                continue
            self.samples[member.name].append(sample)
            probe = probes.get(member.name)
            times = probe.between(now - passed, now) if probe else []
            excused, real = self.judge([fault for fault in faults if fault["member"] == member.name])
            rate = f"{done / passed:.0f}" if member is self.fleet.members[0] else ""
            print(row(now - begun, member.name, sample, times, rate, len(excused), len(real)), flush=True)

    def run(self):
        """Everything from the first request to the last; whether it was interrupted."""
        for member in self.fleet.members:
            self.idle[member.name] = member.descriptors()
        plan = {
            "members": {member.name: member.url for member in self.fleet.members}, "keys": [TOKEN, TOKEN, TOKEN, LIMITED],
            "rate": self.options.rate, "streams": self.options.streams, "sockets": self.options.sockets, "seed": self.options.seed,
        }  # fmt: skip
        # Whoever is cancelled while it connects is warned of at the end.
        program = [sys.executable, "-W", "ignore::RuntimeWarning", str(pathlib.Path(__file__).with_name("traffic.py"))]
        traffic = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
        threads, interrupted = [], False
        try:
            traffic.stdin.write(json.dumps(plan) + "\n")
            traffic.stdin.flush()
            listener = threading.Thread(target=self.listen, args=(traffic,), daemon=True)
            listener.start()
            probes = {name: Probe(self.fleet.member(name), TOKEN, self.stop) for name in LASTING}
            for probe in probes.values():
                probe.start()
            unit = self.unit
            threads = [
                self.every(unit / 10, "reloads", self.reload),
                self.every(max(0.5, unit / 120), "keys", self.churn),
                self.every(unit / 2, "restarts of Redis", self.restart_redis, unit / 4),
                self.every(unit, "kills", self.kill, unit / 2),
            ]
            begun = time.monotonic()
            seen = {"done": 0, "faults": 0, "at": begun}
            print(head(), flush=True)
            while time.monotonic() - begun < self.options.time and not interrupted:
                left = begun + self.options.time - time.monotonic()
                interrupted = INTERRUPTED.wait(max(0, min(unit / 10, left)))
                if traffic.poll() is not None:
                    self.failures.append(f"the clients ended by themselves, with {traffic.returncode}")
                    break
                self.sample(begun, probes, seen)
            self.begun, self.ended, self.probes = begun, time.monotonic(), probes
        finally:
            self.stop.set()
            for thread in threads:
                thread.join()
            with contextlib.suppress(OSError):
                traffic.stdin.close()
            try:
                traffic.wait(20)
            except subprocess.TimeoutExpired:
                traffic.kill()
                traffic.wait()
        listener.join(10)
        return interrupted

    def quiet(self):
        """Waits until nothing is under way any more; what is left of each gateway, in words."""
        end = time.monotonic() + QUIET
        while True:
            left = {member.name: self.left(member) for member in self.fleet.members}
            if not any(left.values()) or time.monotonic() > end or HURRY.wait(1):
                return left

    def left(self, member):
        values = member.metrics()
        names = ("requests_in_flight", "ledger_holds", "websockets_open", "answers_read_on")
        left = [f"{int(values[f'tollgate_{name}'])} {name}" for name in names if values.get(f"tollgate_{name}")]
        over = member.descriptors() - self.idle[member.name]
        return left + ([f"{over} descriptors more than at the start"] if over > DESCRIPTORS else [])

    def verdict(self):
        """(what, whether it held or `None` if this run cannot tell, the words)."""
        held = []
        length = self.ended - self.begun
        long_enough = length >= JUDGED and length >= 3 * self.unit
        for name in LASTING:
            growth, most = grown(self.samples[name], self.unit, self.unit, length)
            words = f"{growth:+.1%} from the first window after the warm-up to the last; at most {most:+.1%}"
            held.append((f"memory of {name}", growth <= GROWTH if long_enough else None, words))
            probe = self.probes[name]
            first = percentile(probe.between(self.begun, self.begun + self.unit), 0.99)
            last = percentile(probe.between(self.ended - self.unit, self.ended), 0.99)
            ratio = last / first if first else math.nan
            words = f"p99 {first:.2f} ms in the first window, {last:.2f} ms in the last ({ratio - 1:+.1%})"
            held.append((f"latency of {name}", ratio <= 1 + SLOWER if long_enough else None, words))
            failed = [{"member": name, "at": at, "what": f"transport: {what}", "kind": "probe"} for at, what in probe.failed]
            self.faults += failed
        left = self.quiet()
        for member in self.fleet.members:
            names = left[member.name]
            held.append((f"nothing left in {member.name}", not names, ", ".join(names) or "no request, hold, socket or descriptor"))
            samples = self.samples[member.name]
            unbalanced, lost = max((s.unbalanced for s in samples), default=0), max((s.lost for s in samples), default=0.0)
            words = f"{unbalanced} accounts unbalanced at most, {lost} USD lost"
            held.append((f"books of {member.name} meanwhile", not unbalanced and not lost, words))
        for name in LASTING:
            member = self.fleet.member(name)
            reloads = {k: v for k, v in member.metrics().items() if k.startswith("tollgate_config_reloads_total{")}
            failed = sum(count for labels, count in reloads.items() if 'result="ok"' not in labels)
            words = f"{member.reloads} changes of the file; {', '.join(f'{int(v)} {k[29:]}' for k, v in reloads.items())}"
            held.append((f"reloads of {name}", sum(reloads.values()) > 0 and not failed, words))
        stopped = self.fleet.stop_gateways()
        held.append(("gateways stop", not stopped, "; ".join(stopped) or "each by SIGTERM, without a panic"))
        for name in LASTING:
            balanced, words = self.fleet.member(name).verify()
            held.append((f"books of {name} at the end", balanced, words.splitlines()[-1] if words else ""))
            if not balanced:
                print(words)
        excused, real = self.judge(self.faults)
        words = f"{sum(self.done.values())} done, {len(excused)} failed while something was away on purpose, {len(real)} otherwise"
        held.append(("answers", not real, words))
        for name, faults in (("while something was away", excused), ("otherwise", real)):
            kinds = collections.Counter(f"{fault['member']} {fault['kind']}: {fault['what']}" for fault in faults)
            print("".join(f"\n{name}: {count} × {what}" for what, count in kinds.most_common(20)))
        words = ", ".join(f"{count} {name}" for name, count in sorted(self.counts.items()))
        held.append(("what was done to them", not self.failures, words + "".join(f"; {failure}" for failure in self.failures[:5])))
        return held


# The first signal ends the run, which is judged as far as it came; the second one ends everything.
INTERRUPTED, HURRY = threading.Event(), threading.Event()


def interrupt(*_):
    (HURRY if INTERRUPTED.is_set() else INTERRUPTED).set()


def options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--time", type=float, default=float(os.environ.get("TIME") or 3600), help="seconds [3600]")
    parser.add_argument("--rate", type=float, default=60, help="requests a second, of all gateways together [60]")
    parser.add_argument("--streams", type=int, default=6, help="long streams open at each gateway [6]")
    parser.add_argument("--sockets", type=int, default=8, help="WebSockets open at each gateway [8]")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30), help="of the traffic [random]")
    parser.add_argument("--keep", action="store_true", help="keep the folder with logs and stores")
    parsed = parser.parse_args()
    if parsed.time < 30:
        parser.error("--time: 30 seconds at least")
    if "TOLLGATE_BIN" not in os.environ:
        parser.error("set TOLLGATE_BIN to the binary to test (or use `make soak`)")
    return parsed


def main():
    chosen = options()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    directory = tempfile.mkdtemp(prefix="tollgate-soak-")
    print(f"==> {chosen.time:.0f} s in {directory}, seed {chosen.seed}; {PROBES} probes a second of each gateway that lasts", flush=True)
    fleet = Fleet(directory)
    held = None
    try:
        soak = Soak(chosen, fleet)
        try:
            fleet.start()
        except (AssertionError, OSError) as error:
            print(f"it could not begin: {error}", file=sys.stderr)
            return 2
        interrupted = soak.run()
        held = soak.verdict()
    finally:
        fleet.stop()
        good = held is not None and all(ok is not False for _, ok, _ in held)
        if good and not chosen.keep:
            shutil.rmtree(directory, ignore_errors=True)
        else:
            print(f"==> logs and stores are kept in {directory}")
    print()
    for what, ok, words in held:
        print(f"{ {True: 'held', False: 'FAILED', None: 'not judged'}[ok]:>10}  {what}: {words}")
    if any(ok is None for _, ok, _ in held):
        print(f"memory and latency are judged after {JUDGED // 60} minutes, and three windows of {soak.unit:.0f} s")
    return 130 if interrupted else 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
