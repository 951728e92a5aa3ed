"""Whether upgrades under load cut, refuse or charge twice: `make soak-upgrades`, or `python tests/soak/upgrades.py`.

500 streams and 50 WebSockets are open all the while, and short requests come between; one gateway on SQLite, or two on one
Redis, are told ten times to have a new process take over. A stream lasts longer than the pause between two upgrades, so that
several generations serve at once. Then all is read again: every answer must have been whole, every answer must be charged once,
nothing else may be, and the books must balance. A turn that a client sends while its socket is being closed is sent again.

Everything is on loopback and in a temporary folder, and ends with this program, however that ends.

Exit code: 0 if all held, 1 if something did not, 2 if it could not begin.
"""

import argparse
import asyncio
import collections
import contextlib
import json
import os
import pathlib
import shutil
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "python"))

import httpx  # noqa: E402
import websockets  # noqa: E402
from websockets.asyncio.client import connect  # noqa: E402

from control import Redis  # noqa: E402
from fleet import TOKEN, Member  # noqa: E402
from gateways import ADMIN_KEY  # noqa: E402

# What a stream says: so many events, so far apart (s).
EVENTS, APART = 40, 0.5
# Short requests a second, at each gateway.
RATE = 10
# How long a client waits for any answer, and a process that was succeeded may take to end.
PATIENCE, ENDING = 60, 90
AUTHORIZED = {"authorization": f"Bearer {TOKEN}"}


class Provider:
    """Streams slowly what is a stream of chat completions, answers all else at once."""

    async def start(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0, backlog=1024)
        return self.server.sockets[0].getsockname()[1]

    async def serve(self, reader, writer):
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
                asked = json.loads(await reader.readexactly(length))
                await self.answer(writer, head.split(b" ")[1].endswith(b"/responses"), asked)
                await writer.drain()
        writer.close()

    async def answer(self, writer, is_response, asked):
        usage = {"prompt_tokens": 10, "completion_tokens": EVENTS, "total_tokens": 10 + EVENTS}
        if is_response:
            response = {"id": f"resp_{os.urandom(8).hex()}", "object": "response", "model": "echo", "status": "completed"}
            response["output"] = [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hello"}]}]
            response["usage"] = {"input_tokens": 10, "output_tokens": 1, "total_tokens": 11}
            created = {"type": "response.created", "sequence_number": 0, "response": {**response, "status": "in_progress", "output": []}}
            self.stream(writer)
            for event in (created, {"type": "response.completed", "sequence_number": 1, "response": response}):
                self.chunk(writer, f"event: {event['type']}\ndata: {json.dumps(event)}\n\n")
            writer.write(b"0\r\n\r\n")
        elif asked.get("stream"):
            self.stream(writer)
            for number in range(EVENTS):
                self.chunk(writer, self.event({"choices": [{"index": 0, "delta": {"content": f"w{number} "}, "finish_reason": None}]}))
                await writer.drain()
                await asyncio.sleep(APART)
            self.chunk(writer, self.event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}))
            self.chunk(writer, self.event({"choices": [], "usage": usage}))
            self.chunk(writer, "data: [DONE]\n\n")
            writer.write(b"0\r\n\r\n")
        else:
            message = {"role": "assistant", "content": "Hello"}
            whole = {"id": "c", "object": "chat.completion", "model": "echo", "usage": usage}
            body = json.dumps({**whole, "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}).encode()
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))

    def stream(self, writer):
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")

    def event(self, more):
        return f"data: {json.dumps({'id': 'c', 'object': 'chat.completion.chunk', 'model': 'echo', **more})}\n\n"

    def chunk(self, writer, text):
        writer.write(b"%x\r\n%s\r\n" % (len(text), text.encode()))


class Clients:
    """What is asked of one gateway, and what became of it."""

    def __init__(self, member):
        self.member, self.over = member, asyncio.Event()
        self.served, self.turns, self.crossed = set(), 0, 0
        self.open, self.faults = collections.Counter(), collections.Counter()

    def begin(self, streams, sockets):
        tasks = [self.again("stream", self.stream, number * EVENTS * APART / streams) for number in range(streams)]
        tasks += [self.again("socket", self.socket, 0) for _ in range(sockets)]
        return [asyncio.create_task(task) for task in [*tasks, self.ask()]]

    async def again(self, kind, act, first):
        await asyncio.sleep(first)
        while not self.over.is_set():
            self.open[kind] += 1
            try:
                async with asyncio.timeout(PATIENCE):
                    await act()
            except (OSError, EOFError, AssertionError, TimeoutError, websockets.WebSocketException) as error:
                self.faults[f"{kind}: {type(error).__name__} {str(error)[:100]}"] += 1
            self.open[kind] -= 1

    async def stream(self):
        """On a connection of its own, of which every byte must be there."""
        id = f"up-{os.urandom(8).hex()}"
        body = json.dumps({"model": "good:long", "stream": True, "messages": [{"role": "user", "content": "Hello"}]}).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: tests\r\nx-request-id: {id}\r\ncontent-type: application/json\r\n"
        head += f"authorization: Bearer {TOKEN}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", self.member.proxy)
        try:
            writer.write(head.encode() + body)
            answer = await reader.read(-1)
        finally:
            writer.close()
        assert answer.startswith(b"HTTP/1.1 200"), answer[:200]
        assert answer.endswith(b"0\r\n\r\n") and b"[DONE]" in answer, f"cut after {answer.count(b'data: ')} events"
        assert answer.count(b'"content":') == EVENTS or all(b"w%d " % number in answer for number in range(EVENTS)), "words are missing"
        self.served.add(id)

    async def ask(self):
        """Short ones, on connections that are kept as long as they may be."""
        async with httpx.AsyncClient(base_url=self.member.url, headers=AUTHORIZED, timeout=PATIENCE, trust_env=False) as client:
            running = set()
            while not self.over.is_set():
                running.add(task := asyncio.create_task(self.short(client)))
                task.add_done_callback(running.discard)
                await asyncio.sleep(1 / RATE)
            await asyncio.gather(*running)

    async def short(self, client):
        id = f"up-{os.urandom(8).hex()}"
        body = {"model": "good:echo", "messages": [{"role": "user", "content": "Hello"}]}
        try:
            answer = await client.post("/v1/chat/completions", json=body, headers={"x-request-id": id})
        except httpx.HTTPError as error:
            self.faults[f"short: {type(error).__name__} {str(error)[:100]}"] += 1
            return
        if answer.status_code == 200:
            self.served.add(id)
        else:
            self.faults[f"short: {answer.status_code} {answer.text[:100]}"] += 1

    async def socket(self):
        """Turns, until the gateway closes the socket between two of them."""
        url = self.member.url.replace("http", "ws", 1) + "/v1/responses"
        async with connect(url, additional_headers=AUTHORIZED, open_timeout=PATIENCE, compression=None, proxy=None) as socket:
            while not self.over.is_set():
                heard = 0
                try:
                    await socket.send(json.dumps({"type": "response.create", "model": "good:echo", "input": "Hello", "store": False}))
                    async with asyncio.timeout(PATIENCE):
                        while (event := json.loads(await socket.recv()))["type"] != "response.completed":
                            assert event["type"] not in ("error", "response.failed"), event
                            heard += 1
                except websockets.ConnectionClosed as closed:
                    assert closed.rcvd is not None and closed.rcvd.code == 1001 and heard == 0, f"a turn was cut: {closed}"
                    self.crossed += 1
                    return
                self.turns += 1
                try:
                    async with asyncio.timeout(1):
                        await socket.wait_closed()
                    return
                except TimeoutError:
                    pass


async def upgrade(member):
    """Has a new process take over; how long that took (s), and which process serves now."""
    begun = time.monotonic()
    headers = {"authorization": f"Bearer {ADMIN_KEY}"}
    async with httpx.AsyncClient(base_url=member.admin_url, headers=headers, timeout=PATIENCE + 20, trust_env=False) as client:
        answer = await client.post("/upgrade")
    assert answer.status_code == 200, f"{member.name}: {answer.status_code} {answer.text}"
    return time.monotonic() - begun, answer.json()["processId"]


def is_alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


async def ended(pids):
    """Those of them that have not ended in time."""
    end = time.monotonic() + ENDING
    while (left := [pid for pid in pids if is_alive(pid)]) and time.monotonic() < end:
        await asyncio.sleep(0.2)
    return left


async def charged(member):
    """How often each request was charged, and those that were charged as if nobody had ended them."""
    counts, orphans = collections.Counter(), 0
    headers = {"authorization": f"Bearer {ADMIN_KEY}"}
    async with httpx.AsyncClient(headers=headers, timeout=PATIENCE, trust_env=False) as client:
        query = {"startTime": "2020-01-01T00:00:00Z", "includeRetries": "true", "extended": "true"}
        answer = (await client.get(f"{member.admin_url}/usage", params=query)).json()
        while True:
            for event in answer["aiGatewayUsage"]:
                counts[event["requestId"]] += 1
                orphans += event["orphaned"]
            if not answer.get("nextPageUri"):
                return counts, orphans
            answer = (await client.get(answer["nextPageUri"])).json()


async def load(chosen, members, held):
    """Upgrades all of them, again and again, under load."""
    clients = [Clients(member) for member in members]
    running = [task for one in clients for task in one.begin(chosen.streams // len(members), chosen.sockets // len(members))]
    # Until as many are open as there shall be.
    await asyncio.sleep(EVENTS * APART)
    pids, took = [member.process.pid for member in members], []
    for number in range(chosen.upgrades):
        for place, member in enumerate(members):
            seconds, pid = await upgrade(member)
            took.append(seconds)
            pids.append(pid)
            member.now = pid
        alive = sum(map(is_alive, pids))
        told = sum((one.open for one in clients), collections.Counter())
        print(f"upgrade {number + 1}: {max(took[-len(members):]):.1f} s; {dict(told)} open, {alive} processes", flush=True)
        await asyncio.sleep(chosen.every)
    for one in clients:
        one.over.set()
    await asyncio.gather(*running)
    old = [pid for pid in pids if pid not in [member.now for member in members]]
    left = await ended(old)
    held.append(("those that were succeeded end", not left, f"{len(old) - len(left)} of {len(old)}"))
    held.append(("upgrades", True, f"{len(took)}, {min(took):.1f} to {max(took):.1f} s each"))
    return clients, pids


async def judge(members, clients, pids, held):
    faults = sum((one.faults for one in clients), collections.Counter())
    served, turns = set().union(*(one.served for one in clients)), sum(one.turns for one in clients)
    words = f"{len(served)} requests and {turns} turns answered whole, {sum(one.crossed for one in clients)} turns sent again, {sum(faults.values())} faults"
    held.append(("nothing cut, nothing refused", not faults, words + "".join(f"; {count} × {what}" for what, count in faults.most_common(5))))
    # What each has charged is told to the bank within a second.
    await asyncio.sleep(2)
    counts, orphans = await charged(members[0])
    once = all(counts[id] == 1 for id in served)
    words = f"{sum(counts.values())} charges for {len(served) + turns} answers, {orphans} orphans"
    held.append(("all charged once", once and sum(counts.values()) == len(served) + turns and not orphans, words))
    for member in members:
        os.kill(member.now, 15)
    left = await ended(pids)
    held.append(("the last ones stop", not left, str(left or "by SIGTERM")))
    for member in members:
        panicked = member.panicked()
        held.append((f"no panic in {member.name}", not panicked, "; ".join(panicked[:3])))
    balanced, words = members[0].verify()
    held.append(("books", balanced, words.splitlines()[-1] if words else ""))


async def on(bank, chosen, directory):
    """What held on one bank."""
    directory.mkdir()
    provider, held, members, redis = Provider(), [], [], None
    port = await provider.start()
    pids = []
    try:
        if bank == "redis":
            redis = Redis(directory, durable=True)
        for number in range(2 if redis else 1):
            ledger = {"bank": "redis", "redis": {"url": redis.url}} if redis else {"bank": "sqlite"}
            member = Member(f"{bank}-{number}", directory, ledger, port)
            members.append(member)
            await asyncio.to_thread(member.start)
        clients, pids = await load(chosen, members, held)
        await judge(members, clients, pids, held)
    finally:
        for pid in {*pids, *(getattr(member, "now", 0) for member in members)} - {0}:
            if is_alive(pid):
                os.kill(pid, 9)
        for member in members:
            if member.process and member.process.poll() is None:
                member.process.kill()
                member.process.wait()
        if redis:
            redis.stop()
    return held


def options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--banks", default="sqlite,redis", help="one gateway on SQLite, two on one Redis [both]")
    parser.add_argument("--streams", type=int, default=500, help="open at once, of all gateways together [500]")
    parser.add_argument("--sockets", type=int, default=50, help="WebSockets open at once [50]")
    parser.add_argument("--upgrades", type=int, default=10, help="of each gateway [10]")
    parser.add_argument("--every", type=float, default=6, help="seconds between two [6]")
    parser.add_argument("--keep", action="store_true", help="keep the folder with logs and stores")
    parsed = parser.parse_args()
    if "TOLLGATE_BIN" not in os.environ:
        parser.error("set TOLLGATE_BIN to the binary to test (or use `make soak-upgrades`)")
    return parsed


def main():
    chosen = options()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="tollgate-upgrades-"))
    good = True
    for bank in chosen.banks.split(","):
        print(f"==> {chosen.upgrades} upgrades on {bank}: {chosen.streams} streams, {chosen.sockets} WebSockets", flush=True)
        try:
            held = asyncio.run(on(bank, chosen, directory / bank))
        except (AssertionError, OSError) as error:
            print(f"it could not go on: {error}; logs are in {directory}", file=sys.stderr)
            return 2
        for what, ok, words in held:
            print(f"{'held' if ok else 'FAILED':>10}  {what}: {words}", flush=True)
            good &= ok
    if good and not chosen.keep:
        shutil.rmtree(directory, ignore_errors=True)
    else:
        print(f"==> logs and stores are kept in {directory}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
