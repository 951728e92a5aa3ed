"""Spans and metrics over gRPC, as gRPC's own server takes them, and as a collector passes them on.

What is not here is skipped by name: grpcio, the messages of OTLP, a collector.
"""

import concurrent.futures
import contextlib
import gzip
import http.server
import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import threading
import time
import urllib.request

import pytest

import gateways
from gateways import PLANTED, sha256

grpc = pytest.importorskip("grpc", reason="needs gRPC (pip: grpcio)")
proto = pytest.importorskip("opentelemetry.proto", reason="needs the messages of OTLP (pip: opentelemetry-proto)")
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc  # noqa: E402
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc  # noqa: E402

KEY = "tg-otlp-g1-" + PLANTED + "A" * 36
TOKEN = "otlp-token-" + PLANTED
FLEET = pathlib.Path(__file__).resolve().parents[2] / "deploy/fleet"


class Receiver(trace_service_pb2_grpc.TraceServiceServicer, metrics_service_pb2_grpc.MetricsServiceServicer):
    """A gRPC server: what it was sent, and who sent it. `answers` are statuses, one a call for spans, then it takes all."""

    def __init__(self, answers=()):
        self.answers = list(answers)
        self.calls, self.spans, self.metrics = [], [], []

    def Export(self, request, context):
        self.calls.append(dict(context.invocation_metadata()))
        if isinstance(request, metrics_service_pb2.ExportMetricsServiceRequest):
            self.metrics += [m for r in request.resource_metrics for s in r.scope_metrics for m in s.metrics]
            return metrics_service_pb2.ExportMetricsServiceResponse()
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, grpc.StatusCode):
            context.abort(answer, f"not now, {TOKEN}")
        self.spans += [span for r in request.resource_spans for s in r.scope_spans for span in s.spans]
        taken = trace_service_pb2.ExportTraceServiceResponse()
        taken.partial_success.rejected_spans = answer or 0
        return taken

    @contextlib.contextmanager
    def listening(self):
        server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(self, server)
        metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(self, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.stop(None).wait(10)


@contextlib.contextmanager
def gateway(directory, endpoint, protocol="grpc", **env):
    to = {"endpoint": endpoint, "protocol": protocol, "headers": {"Authorization": f"Bearer {TOKEN}"}}
    configuration = {
        "accounts": [{"id": "default", "grants": [{"id": "tests", "usd": 1}]}],
        "access_keys": [{"id": "otlp", "sha256": sha256(KEY)}],
        "telemetry": {"traces": {**to, "sample": 1.0}, "metrics": {**to, "every": "1s"}},
    }
    with gateways.running(directory, configuration, env, KEY) as started:
        yield started


def ask(started):
    body = {"model": "demo:echo", "messages": [{"role": "user", "content": "Hello"}]}
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{started.url}/v1/chat/completions", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert answer.status == 200


def eventually(check):
    end = time.monotonic() + 20
    while not check():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.02)


def counted(started, series, value):
    eventually(lambda: f"\ntollgate_trace_spans_{series} {value}\n" in started.admin("/metrics")[1])


def values(span):
    return {attribute.key: attribute.value for attribute in span.attributes}


def assert_a_request(spans, metrics, has_own=True):
    """One request's spans and metrics; `has_own`: the gateway's own metrics, too."""
    root, attempt = sorted(spans, key=lambda span: span.kind)
    assert (root.kind, attempt.kind) == (2, 3) and attempt.parent_span_id == root.span_id
    assert values(attempt)["gen_ai.request.model"].string_value == "echo"
    names = {metric.name for metric in metrics}
    assert {"gen_ai.server.request.duration", "gen_ai.client.token.usage"} <= names
    assert ("tollgate.requests" in names) == has_own


def test_a_grpc_receiver_is_told_of_requests(tmp_path):
    receiver = Receiver()
    with receiver.listening() as endpoint, gateway(tmp_path, endpoint) as started:
        ask(started)
        eventually(lambda: len(receiver.spans) == 2 and any("gen_ai" in metric.name for metric in receiver.metrics))
        assert_a_request(receiver.spans, receiver.metrics)
        counted(started, "sent_total", 2)
        # The connection is kept.
        ask(started)
        counted(started, "sent_total", 4)
    for call in receiver.calls:
        assert call["authorization"] == f"Bearer {TOKEN}" and call["user-agent"].startswith("tollgate/")


def test_what_a_grpc_receiver_does_not_take_is_tried_again_or_counted(tmp_path):
    receiver = Receiver([grpc.StatusCode.UNAVAILABLE, 1, grpc.StatusCode.UNAUTHENTICATED])
    with receiver.listening() as endpoint, gateway(tmp_path, endpoint) as started:
        ask(started)
        counted(started, 'dropped_total{reason="rejected"}', 1)
        counted(started, "sent_total", 1)
        ask(started)
        counted(started, 'dropped_total{reason="refused"}', 2)
    text = (tmp_path / "stderr.log").read_text()
    assert f"traces do not reach {endpoint}: it answers UNAVAILABLE (14)" in text


def test_grpc_goes_by_tls(tmp_path):
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE -keyout {key} -out {certificate}"
    subprocess.run(made.split(), check=True, capture_output=True, timeout=60)
    receiver = Receiver()
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(receiver, server)
    metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(receiver, server)
    pair = [(key.read_bytes(), certificate.read_bytes())]
    port = server.add_secure_port("localhost:0", grpc.ssl_server_credentials(pair))
    server.start()
    directory = tmp_path / "trusting"
    directory.mkdir()
    try:
        with gateway(directory, f"https://localhost:{port}", SSL_CERT_FILE=str(certificate)) as started:
            ask(started)
            eventually(lambda: len(receiver.spans) == 2)
        directory = tmp_path / "wary"
        directory.mkdir()
        with gateway(directory, f"https://localhost:{port}") as started:
            ask(started)
            eventually(lambda: "traces do not reach" in (directory / "stderr.log").read_text())
        assert len(receiver.spans) == 2 and "certificate" in (directory / "stderr.log").read_text()
    finally:
        server.stop(None).wait(10)


class Exported(http.server.ThreadingHTTPServer):
    """Takes what a collector exports, over HTTP."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.spans, self.metrics = [], []


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers["content-encoding"] == "gzip":
            body = gzip.decompress(body)
        if self.path == "/v1/traces":
            request = trace_service_pb2.ExportTraceServiceRequest.FromString(body)
            self.server.spans += [span for r in request.resource_spans for s in r.scope_spans for span in s.spans]
        else:
            request = metrics_service_pb2.ExportMetricsServiceRequest.FromString(body)
            self.server.metrics += [m for r in request.resource_metrics for s in r.scope_metrics for m in s.metrics]
        self.send_response(200)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def test_whoever_does_not_speak_grpc_is_no_trouble_for_requests(tmp_path):
    other = Exported()
    threading.Thread(target=other.serve_forever, daemon=True).start()
    with gateway(tmp_path, f"http://127.0.0.1:{other.server_port}") as started:
        ask(started)
        eventually(lambda: "traces do not reach" in (tmp_path / "stderr.log").read_text())
        ask(started)
        began = time.monotonic()
    assert time.monotonic() - began < 10, "nobody waits for it at the end"
    other.shutdown()


def rotel(directory, grpc_at, http_at, exported):
    """Rotel, a collector that has a wheel: its command."""
    found = importlib.util.find_spec("rotel")
    if found is None:
        return None
    return [
        str(pathlib.Path(found.origin).parent / "rotel-agent"), "start", "--otlp-grpc-endpoint", grpc_at, "--otlp-http-endpoint", http_at,
        "--exporter", "otlp", "--otlp-exporter-endpoint", exported, "--otlp-exporter-protocol", "http",
        "--otlp-exporter-compression", "none", "--batch-timeout", "100ms",
    ]  # fmt: skip


def opentelemetry(directory, grpc_at, http_at, exported):
    """OpenTelemetry's collector, with the fleet's configuration but for where it listens and exports: its command."""
    named = os.environ.get("TOLLGATE_TEST_COLLECTOR")
    binary = named or shutil.which("otelcol-contrib") or shutil.which("otelcol")
    if binary is None:
        return None
    yaml = pytest.importorskip("yaml")
    configuration = yaml.safe_load((FLEET / "collector.yaml").read_text())
    protocols = configuration["receivers"]["otlp"]["protocols"]
    protocols["grpc"]["endpoint"], protocols["http"] = grpc_at, {"endpoint": http_at}
    configuration["exporters"] = {
        name: {"endpoint": exported, "compression": "none"} if name.startswith("otlp") else exporter
        for name, exporter in configuration["exporters"].items()
    }
    file = directory / "collector.yaml"
    file.write_text(json.dumps(configuration))
    return [binary, "--config", str(file)]


@pytest.mark.parametrize("collector", [rotel, opentelemetry])
def test_a_collector_passes_on_what_it_is_sent(collector, tmp_path):
    exported = Exported()
    grpc_at, http_at = (f"127.0.0.1:{gateways.free_port()}" for _ in range(2))
    command = collector(tmp_path, grpc_at, http_at, f"http://127.0.0.1:{exported.server_port}")
    if command is None:
        pytest.skip(f"needs the collector: {collector.__doc__.split(':')[0]}")
    threading.Thread(target=exported.serve_forever, daemon=True).start()
    log = (tmp_path / "collector.log").open("wb")
    process = subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log)
    try:
        for protocol, at in (("grpc", grpc_at), ("http/protobuf", http_at)):
            exported.spans, exported.metrics = [], []
            directory = tmp_path / protocol.split("/")[0]
            directory.mkdir()
            with gateway(directory, f"http://{at}", protocol) as started:
                ask(started)
                counted(started, "sent_total", 2)
                eventually(lambda: len(exported.spans) == 2)
                eventually(lambda: any(metric.name == "gen_ai.client.token.usage" for metric in exported.metrics))
            assert_a_request(exported.spans, exported.metrics, has_own=collector is rotel)
    finally:
        process.terminate()
        process.wait(20)
        exported.shutdown()
