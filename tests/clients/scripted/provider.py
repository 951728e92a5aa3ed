"""The server. `script` is called with every valid request and says what is answered; `meter`, if there is one, with the
request and its prompt as a cache sees it, and says what is reported as used."""

import http.server
import itertools
import json
import threading

from . import chat, messages, responses
from .script import Say

DIALECTS = {"/v1/chat/completions": chat, "/v1/responses": responses, "/v1/messages": messages}


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    # claude counts tokens with two dozen requests at once; the default is 5 connections.
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass  # whoever asked is gone; what matters of it, a test sees


class Provider:
    """Remembers what it was `asked`, and the `faults` of what was not valid."""

    def __enter__(self):
        provider = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"] or 0))
                provider.answer(self, self.path.split("?")[0], body)

            def do_GET(self):
                self.close_connection = True
                if provider.is_asked_directly and "upgrade" in self.headers:
                    return self.send_error(426)
                provider.faults.append(f"GET {self.path}: nothing but requests for answers comes here")
                self.send_error(404)

            def log_message(self, *_):
                pass

        self.forget()
        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def forget(self):
        self.asked, self.faults, self.numbers = [], [], itertools.count(1)
        self.script, self.meter = lambda asked: Say("Nobody wrote a script."), None
        # Whether agents come here without a gateway between: codex asks for a WebSocket first.
        self.is_asked_directly = False

    def answer(self, handler, path, body):
        headers = {name.lower(): value for name, value in handler.headers.items()}
        if path == "/v1/messages/count_tokens":
            return send(handler, 200, {"input_tokens": len(body) // 4})
        dialect = DIALECTS.get(path)
        try:
            if dialect is None:
                raise ValueError(f"no such path: {path}")
            body = json.loads(body)
            faults = list(dialect.faults(body, headers))
            if not faults:
                asked = dialect.view(body, headers)
                asked.number = next(self.numbers)
                self.asked.append(asked)
                say = self.script(asked)
                if self.meter and say.status == 200:
                    asked.usage = self.meter(asked, dialect.prompt(body))
                for call in say.calls:
                    call.id = call.id or f"call_{asked.number}_{say.calls.index(call)}"
        except Exception as error:  # whatever a script or a view stumbles on is the test's to see
            faults = [f"{type(error).__name__}: {error}"]
        if faults:
            self.faults += [f"{path}: {fault}" for fault in faults]
            return fail(handler, dialect, 400, "; ".join(faults))
        if say.status != 200:
            return fail(handler, dialect, say.status, say.text, say.retry_after)
        if not asked.stream:
            return send(handler, 200, dialect.whole(say, asked))
        handler.send_response(200)
        handler.send_header("content-type", "text/event-stream; charset=utf-8")
        handler.send_header("transfer-encoding", "chunked")
        handler.end_headers()
        events = list(dialect.events(say, asked))
        for n, event in enumerate(events):
            if say.midway and n == len(events) // 2:
                say.midway()
            name = f"event: {event['type']}\n" if "type" in event and dialect is not chat else ""
            data = event if isinstance(event, str) else json.dumps(event)
            text = f"{name}data: {data}\n\n".encode()
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(text), text))
        handler.wfile.write(b"0\r\n\r\n")


def fail(handler, dialect, status, message, retry_after=None):
    kind = {400: "invalid_request_error", 429: "rate_limit_error"}.get(status, "overloaded_error")
    error = {"type": kind, "message": message}
    answer = {"type": "error", "error": error} if dialect is messages else {"error": {**error, "code": None, "param": None}}
    return send(handler, status, answer, {"retry-after": retry_after} if retry_after is not None else {})


def send(handler, status, answer, headers={}):
    body = json.dumps(answer).encode()
    handler.send_response(status)
    handler.send_header("content-type", "application/json")
    handler.send_header("content-length", str(len(body)))
    for name, value in headers.items():
        handler.send_header(name, str(value))
    handler.end_headers()
    handler.wfile.write(body)
