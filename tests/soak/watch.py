"""What a soak sees: samples of each gateway, latencies of a probe, what the clients were answered; and what it says of them."""

import bisect
import dataclasses
import http.client
import json
import math
import threading
import time

# How much resident memory may grow after the warm-up, and the 99th percentile from the first window to the last.
GROWTH, SLOWER = 0.05, 0.10
# Descriptors more than before the first request that a quiet gateway may have: connections that it keeps.
DESCRIPTORS = 12
# Probes a second of each gateway that lasts.
PROBES = 20
# Answers to a client while its gateway, or the bank of it, is away.
EXCUSED = ("transport:", "503 ", "429 ", "the stream has no end marker")


def percentile(values, share):
    """Of values in any order; NaN of none."""
    values = sorted(values)
    return values[min(len(values) - 1, math.floor(len(values) * share))] if values else math.nan


@dataclasses.dataclass
class Sample:
    """A gateway at one moment."""

    at: float
    resident: int
    descriptors: int
    threads: int
    holds: int
    in_flight: int
    unbalanced: int
    lost: float

    @staticmethod
    def of(member, at):
        values = member.metrics()
        number = lambda name: int(values.get(f"tollgate_{name}", 0))
        return Sample(
            at, member.resident(), member.descriptors(), member.threads(), number("ledger_holds"), number("requests_in_flight"),
            number("ledger_accounts_unbalanced"), values.get("tollgate_ledger_lost_usd", 0.0),
        )  # fmt: skip


class Probe(threading.Thread):
    """One client that asks one short question after another, and takes the time."""

    def __init__(self, member, token, stop):
        super().__init__(daemon=True, name=f"probe-{member.name}")
        self.member, self.stop = member, stop
        self.at, self.took, self.failed = [], [], []
        self.body = json.dumps({"model": "good:echo", "messages": [{"role": "user", "content": "Hello"}]})
        self.headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.member.proxy, timeout=30)
        while not self.stop.wait(1 / PROBES):
            begun = time.monotonic()
            try:
                connection.request("POST", "/v1/chat/completions", self.body, self.headers)
                answer = connection.getresponse()
                answer.read()
                if answer.status != 200:
                    raise OSError(f"{answer.status} ")
            except (OSError, http.client.HTTPException) as error:
                self.failed.append((time.monotonic(), str(error) or type(error).__name__))
                connection.close()
                continue
            self.at.append(begun)
            self.took.append((time.monotonic() - begun) * 1000)
        connection.close()

    def between(self, begin, end):
        """Milliseconds of the probes that began then."""
        known = len(self.took)
        return self.took[bisect.bisect_left(self.at, begin, hi=known) : bisect.bisect_left(self.at, end, hi=known)]


class Windows:
    """When a gateway, or its bank, was away on purpose."""

    def __init__(self):
        self.of = []

    def begin(self, members):
        window = {"members": members, "from": time.monotonic(), "to": math.inf}
        self.of.append(window)
        return window

    def excuse(self, fault):
        """Whether a fault is what this soak has done, rather than the gateway."""
        away = any(fault["member"] in w["members"] and w["from"] <= fault["at"] <= w["to"] for w in self.of)
        return away and fault["what"].startswith(EXCUSED)


HEAD = ["time", "gateway", "RSS MB", "fds", "threads", "holds", "in flight", "p50 ms", "p99 ms", "done/s", "excused", "faults"]


def head():
    return "  ".join(f"{name:>9}" for name in HEAD)


def row(seconds, name, sample, times, done, excused, faults):
    cells = [
        f"{int(seconds) // 60}:{int(seconds) % 60:02}", name, f"{sample.resident / 1024:.1f}", sample.descriptors, sample.threads,
        sample.holds, sample.in_flight, figure(percentile(times, 0.5)), figure(percentile(times, 0.99)), done, excused, faults,
    ]  # fmt: skip
    return "  ".join(f"{cell:>9}" for cell in cells)


def figure(value):
    return "" if math.isnan(value) else f"{value:.2f}"


def grown(samples, warm, unit, end):
    """By how much the mean of resident memory has grown from the first window after the warm-up to the last one; and the most
    that any sample after the warm-up is above that first mean. NaN where there are no samples."""
    first = [sample.resident for sample in samples if warm <= sample.at < warm + unit]
    last = [sample.resident for sample in samples if end - unit <= sample.at <= end]
    after = [sample.resident for sample in samples if sample.at >= warm]
    if not first or not last:
        return math.nan, math.nan
    base = sum(first) / len(first)
    return sum(last) / len(last) / base - 1, max(after) / base - 1
