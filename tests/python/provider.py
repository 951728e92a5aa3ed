"""A provider that answers any status and remembers what it was asked."""

import http.server
import json
import threading

import spoken


class Provider:
    """Model `status-403` answers 403, and so on, `broken` what is no JSON, `tools` thinks and calls tools on all three
    APIs, streaming or not; any other model answers 200. Both dialects.

    If `echo` is set it is what is answered, and errors repeat the credential that was sent, as some providers' do."""

    echo = None

    def __enter__(self):
        provider = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"] or 0))
                provider.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                asked = json.loads(body)
                model = asked["model"]
                if model == "tools":
                    return self.speak(spoken.answer(self.path, model, asked.get("stream")))
                status = int(model.removeprefix("status-")) if model.startswith("status-") else 200
                answer = json.dumps(provider.answer(self.path, model, status)).encode()
                if provider.echo:
                    said = provider.echo
                    if status != 200:
                        said += f" is not for {self.headers['authorization']} or {self.headers['x-api-key']}"
                    answer = answer.replace(b"stub was told", said.encode()).replace(b'"stub"', json.dumps(said).encode())
                if model == "broken":
                    answer = answer[:-20]
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def speak(self, answer):
                stream = not isinstance(answer, dict)
                self.send_response(200)
                self.send_header("content-type", "text/event-stream" if stream else "application/json")
                self.send_header("connection", "close")
                self.end_headers()
                for piece in answer if stream else [json.dumps(answer)]:
                    self.wfile.write(piece.encode())
                    self.wfile.flush()
                self.close_connection = True

            def log_message(self, *_):
                pass

        self.requests = []
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def forget(self):
        self.requests.clear()

    @staticmethod
    def answer(path, model, status):
        anthropic = path.split("?")[0].endswith("/messages")
        if status != 200:
            error = {"type": "stub_error", "message": f"the stub was told to answer {status}"}
            return {"type": "error", "error": error} if anthropic else {"error": {**error, "code": "stub", "param": None}}
        if anthropic:
            return {
                "id": "msg_stub",
                "type": "message",
                "role": "assistant",
                "model": model,
                "content": [{"type": "text", "text": "stub"}],
                "stop_reason": "end_turn",
                "stop_sequence": None,
                "usage": {"input_tokens": 1, "output_tokens": 1},
            }
        return {
            "id": "chatcmpl-stub",
            "object": "chat.completion",
            "created": 1,
            "model": model,
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "stub"}}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        }
