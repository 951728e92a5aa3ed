"""The clients of a soak, in a process of their own.

Standard input is one line of JSON: `members` (name to URL), `keys`, `rate` (requests a second), `streams` and `sockets` (how
many are open at each member), `seed`. Standard output is one line of JSON a second, with what was `done` (by kind) and each
fault (`at` in seconds of the monotonic clock, `member`, `kind`, `what`). When standard input ends, all leave at once.
"""

import asyncio
import collections
import json
import random
import sys
import time

import httpx
import websockets
from websockets.asyncio.client import connect

# How many requests may be under way before none is begun: a gateway that hangs must not fill this process.
MOST = 400
# A client gives up, as an SDK would.
PATIENCE = 30
LETTERS = "lorem ipsum dolor sit amet consetetur sadipscing elitr sed diam nonumy eirmod tempor".split()


class Wrong(Exception):
    """An answer that is not what was asked for."""


class Traffic:
    def __init__(self, plan):
        self.members, self.keys, self.plan = plan["members"], plan["keys"], plan
        self.random = random.Random(plan["seed"])
        self.done, self.faults = collections.Counter(), []
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=32, keepalive_expiry=20)
        self.clients = {
            name: httpx.AsyncClient(base_url=url, timeout=PATIENCE, limits=limits, trust_env=False)
            for name, url in self.members.items()
        }
        self.kinds = {
            self.chat: 20, self.chat_stream: 14, self.messages: 6, self.messages_stream: 8, self.responses: 6,
            self.responses_stream: 6, self.completions: 4, self.embeddings: 4, self.crossing: 8, self.failover: 10,
            self.failover_stream: 8, self.leaves: 8, self.leaves_early: 2, self.breaks: 4, self.counts: 3, self.refused: 5,
            self.large: 2,
        }  # fmt: skip

    def text(self, most=12):
        return " ".join(self.random.choices(LETTERS, k=self.random.randint(1, most)))

    def headers(self):
        return {"authorization": f"Bearer {self.random.choice(self.keys)}"}

    async def ask(self, member, path, body, status=200):
        answer = await self.clients[member].post(path, json=body, headers=self.headers())
        if answer.status_code != status:
            raise Wrong(f"{answer.status_code} {code(answer.text)}")
        return answer.json()

    async def stream(self, member, path, body, last, leave_after=None):
        """Reads a stream to its end, whose last event must have `last` in it; or leaves after some pieces."""
        async with self.clients[member].stream("POST", path, json={**body, "stream": True}, headers=self.headers()) as answer:
            if answer.status_code != 200:
                raise Wrong(f"{answer.status_code} {code((await answer.aread()).decode(errors='replace'))}")
            tail, pieces = b"", 0
            async for piece in answer.aiter_raw():
                tail, pieces = (tail + piece)[-4096:], pieces + 1
                if leave_after is not None and pieces >= leave_after:
                    return
            if last is not None and last not in tail:
                raise Wrong("the stream has no end marker")

    def talk(self, model, **more):
        return {"model": model, "messages": [{"role": "user", "content": self.text()}], **more}

    async def chat(self, member):
        answer = await self.ask(member, "/v1/chat/completions", self.talk(self.random.choice(["good:echo", "good:no-usage"])))
        if "You said" not in answer["choices"][0]["message"]["content"]:
            raise Wrong("another answer")

    async def large(self, member):
        body = self.talk("good:echo", max_tokens=4)
        body["messages"][0]["content"] = " ".join(self.random.choices(LETTERS, k=30_000))
        await self.ask(member, "/v1/chat/completions", body)

    async def chat_stream(self, member):
        await self.stream(member, "/v1/chat/completions", self.talk("good:thinking"), b"[DONE]")

    async def messages(self, member):
        await self.ask(member, "/v1/messages", self.talk("good:echo", max_tokens=50))

    async def messages_stream(self, member):
        await self.stream(member, "/v1/messages", self.talk("good:echo", max_tokens=50), b"message_stop")

    async def counts(self, member):
        await self.ask(member, "/v1/messages/count_tokens", self.talk("good:echo"))

    async def responses(self, member):
        await self.ask(member, "/v1/responses", {"model": "good:echo", "input": self.text(), "store": False})

    async def responses_stream(self, member):
        body = {"model": "good:thinking", "input": self.text(), "store": False}
        await self.stream(member, "/v1/responses", body, b"response.completed")

    async def completions(self, member):
        await self.ask(member, "/v1/completions", {"model": "good:echo", "prompt": self.text()})

    async def embeddings(self, member):
        await self.ask(member, "/v1/embeddings", {"model": "good:echo", "input": self.text()})

    async def crossing(self, member):
        """Messages and responses, of a provider that speaks chat completions only."""
        if self.random.random() < 0.5:
            await self.stream(member, "/v1/messages", self.talk("chat-only:echo", max_tokens=50), b"message_stop")
        else:
            body = {"model": "chat-only:echo", "input": self.text(), "store": False}
            await self.stream(member, "/v1/responses", body, b"response.completed")

    def failing(self):
        bad = ["429-bare", "500", "503", "cut-early", "error-event", "overloaded"]
        first, second = self.random.sample(bad, 2)
        return self.talk(f"bad:{first}", models=[f"bad:{second}", "good:echo"])

    async def failover(self, member):
        await self.ask(member, "/v1/chat/completions", self.failing())

    async def failover_stream(self, member):
        await self.stream(member, "/v1/chat/completions", self.failing(), b"[DONE]")

    async def leaves(self, member):
        await self.stream(member, "/v1/chat/completions", self.talk("good:long"), None, self.random.randint(1, 40))

    async def leaves_early(self, member):
        """A client that leaves before the first token."""
        try:
            async with asyncio.timeout(0.2):
                await self.stream(member, "/v1/chat/completions", self.talk("good:slow"), None)
        except TimeoutError:
            pass

    async def breaks(self, member):
        """An answer that breaks off after its begin: the client must see it."""
        try:
            await self.stream(member, "/v1/chat/completions", self.talk("bad:cut"), b"[DONE]")
        except (httpx.RemoteProtocolError, httpx.ReadError, Wrong) as error:
            if isinstance(error, Wrong) and error.args[0][0].isdigit():
                raise
        else:
            raise Wrong("a broken answer ended cleanly")

    async def refused(self, member):
        which = self.random.randrange(3)
        if which == 0:
            headers = {"authorization": "Bearer tg-nobody-g1-" + "N" * 43}
            status, wanted = (await self.clients[member].post("/v1/chat/completions", json={}, headers=headers)).status_code, 401
        elif which == 1:
            headers = {**self.headers(), "content-type": "application/json"}
            answer = await self.clients[member].post("/v1/chat/completions", content=b'{"model": ', headers=headers)
            status, wanted = answer.status_code, 400
        else:
            answer = await self.clients[member].post("/v1/chat/completions", json=self.talk("nowhere:x"), headers=self.headers())
            status, wanted = answer.status_code, 422
        if status != wanted:
            raise Wrong(f"{status} instead of {wanted}")

    async def counted(self, kind, name, member):
        """Runs one of them, and notes what came of it."""
        try:
            async with asyncio.timeout(PATIENCE * 2):
                await kind(member)
            self.done[name] += 1
        except asyncio.CancelledError:
            raise
        except Wrong as error:
            self.fault(member, name, error.args[0])
        except (httpx.HTTPError, OSError, TimeoutError, websockets.WebSocketException) as error:
            self.fault(member, name, f"transport: {type(error).__name__} {str(error)[:80]}")
        except Exception as error:  # An answer that this client cannot read is a fault as well.
            self.fault(member, name, f"unreadable: {type(error).__name__} {str(error)[:80]}")

    def fault(self, member, kind, what):
        self.faults.append({"at": time.monotonic(), "member": member, "kind": kind, "what": what})

    async def long_stream(self, member):
        leave = self.random.randint(50, 1500) if self.random.random() < 0.3 else None
        await self.stream(member, "/v1/chat/completions", self.talk("good:long"), b"[DONE]", leave)

    async def socket(self, member):
        """A WebSocket: some turns, which go on from each other; then it is closed, or just left."""
        url = self.members[member].replace("http", "ws", 1) + "/v1/responses"
        async with connect(url, additional_headers=self.headers(), open_timeout=PATIENCE, compression=None, proxy=None) as socket:
            previous, turns = None, self.random.randint(1, 12)
            for turn in range(turns):
                event = {"type": "response.create", "model": "good:echo", "input": self.text(), "store": False}
                if previous:
                    event["previous_response_id"] = previous
                await socket.send(json.dumps(event))
                if turn == turns - 1 and self.random.random() < 0.3:
                    return
                previous = await self.turn(socket)
                self.done["turn"] += 1
                await asyncio.sleep(self.random.random())

    async def turn(self, socket):
        while True:
            event = json.loads(await socket.recv())
            if event["type"] == "response.completed":
                return event["response"]["id"]
            if event["type"] in ("error", "response.failed"):
                raise Wrong(f"{event.get('status', '')} {code(json.dumps(event))}")

    async def again(self, kind, name, member):
        while True:
            await self.counted(kind, name, member)
            await asyncio.sleep(0.2 + self.random.random())

    async def pace(self):
        kinds, weights = list(self.kinds), list(self.kinds.values())
        members, running = list(self.members), set()
        due = time.monotonic()
        while True:
            due = max(due + self.random.expovariate(self.plan["rate"]), time.monotonic() - 1)
            await asyncio.sleep(max(0, due - time.monotonic()))
            if len(running) >= MOST:
                self.done["not begun"] += 1
                continue
            kind = self.random.choices(kinds, weights)[0]
            task = asyncio.create_task(self.counted(kind, kind.__name__, self.random.choice(members)))
            running.add(task)
            task.add_done_callback(running.discard)

    async def tell(self):
        while True:
            await asyncio.sleep(1)
            done, faults, self.done, self.faults = self.done, self.faults, collections.Counter(), []
            print(json.dumps({"done": done, "faults": faults}), flush=True)

    async def run(self):
        tasks = [self.pace(), self.tell()]
        for member in self.members:
            tasks += [self.again(self.long_stream, "long", member) for _ in range(self.plan["streams"])]
            tasks += [self.again(self.socket, "socket", member) for _ in range(self.plan["sockets"])]
        tasks = [asyncio.create_task(task) for task in tasks]
        ended = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        done, _ = await asyncio.wait([ended, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in done - {ended}:
            task.result()


def code(text):
    """Our error's code in an answer, or its beginning."""
    at = text.find("ERR_TOLLGATE_")
    return text[at : at + 18].strip('"\\, ') if at >= 0 else text[:100]


if __name__ == "__main__":
    # What is still under way is dropped with the process: clients that leave, all at once.
    asyncio.run(Traffic(json.loads(sys.stdin.readline())).run())
