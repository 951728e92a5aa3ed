"""The server. `script` is called with every valid request and says what is answered."""

import http.server
import json
import threading

from . import chat, messages, responses
from .script import Say

DIALECTS = {"/v1/chat/completions": chat, "/v1/responses": responses, "/v1/messages": messages}


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    # claude counts tokens with two dozen requests at once; the default is 5 connections.
    request_queue_size = 128


class Provider:
    """Remembers what it was `asked`, and the `faults` of what was not valid."""

    def __enter__(self):
        provider = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"] or 0))
                provider.answer(self, self.path.split("?")[0], body)

            def do_GET(self):
                self.close_connection = True
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
        self.asked, self.faults = [], []
        self.script = lambda asked: Say("Nobody wrote a script.")

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
                self.asked.append(asked)
                say = self.script(asked)
                for call in say.calls:
                    call.id = call.id or f"call_{len(self.asked)}_{say.calls.index(call)}"
        except Exception as error:  # whatever a script or a view stumbles on is the test's to see
            faults = [f"{type(error).__name__}: {error}"]
        if faults:
            self.faults += [f"{path}: {fault}" for fault in faults]
            return fail(handler, dialect, 400, "; ".join(faults))
        if say.status != 200:
            return fail(handler, dialect, say.status, say.text)
        if not asked.stream:
            return send(handler, 200, dialect.whole(say, asked))
        handler.send_response(200)
        handler.send_header("content-type", "text/event-stream; charset=utf-8")
        handler.send_header("transfer-encoding", "chunked")
        handler.end_headers()
        for event in dialect.events(say, asked):
            name = f"event: {event['type']}\n" if "type" in event and dialect is not chat else ""
            data = event if isinstance(event, str) else json.dumps(event)
            text = f"{name}data: {data}\n\n".encode()
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(text), text))
        handler.wfile.write(b"0\r\n\r\n")


def fail(handler, dialect, status, message):
    error = {"type": "invalid_request_error" if status == 400 else "overloaded_error", "message": message}
    if dialect is messages:
        return send(handler, status, {"type": "error", "error": error})
    return send(handler, status, {"error": {**error, "code": None, "param": None}})


def send(handler, status, answer):
    body = json.dumps(answer).encode()
    handler.send_response(status)
    handler.send_header("content-type", "application/json")
    handler.send_header("content-length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)
