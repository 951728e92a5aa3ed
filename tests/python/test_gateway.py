"""What the gateway itself says: to callers it refuses, to providers, to operators."""

import json
import signal
import threading
import urllib.error
import urllib.request

import openai
import pytest

from conftest import UPSTREAM_KEY

HELLO = [{"role": "user", "content": "Hello there"}]


def refusal(call):
    with pytest.raises(openai.APIStatusError) as error:
        call()
    return error.value


def raw_post(gateway, path, body, **headers):
    """Status and body of a request that no SDK would send."""
    request = urllib.request.Request(
        gateway.url + path,
        data=body,
        headers={"authorization": f"Bearer {gateway.key}", "content-type": "application/json", **headers},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as answer:
        return answer.code, answer.read()


@pytest.mark.parametrize("key", ["sk-not-ours", "tg-sdk-g1-" + "Z" * 43, "tg-nobody-g1-" + "A" * 43, "tg--g1-"])
def test_wrong_key(client, key):
    error = refusal(lambda: client.with_options(api_key=key).chat.completions.create(model="demo:echo", messages=HELLO))
    assert isinstance(error, openai.AuthenticationError)
    assert error.code == "ERR_TOLLGATE_27007"
    assert "Incorrect API key provided" in error.message, "clients classify by these words"
    assert key not in str(error), "a key is never repeated"


def test_unknown_model(client):
    error = refusal(lambda: client.chat.completions.create(model="gpt-4oo", messages=HELLO))
    assert isinstance(error, openai.UnprocessableEntityError)
    assert error.code == "ERR_TOLLGATE_3804" and "model unknown" in error.message


@pytest.mark.parametrize("models", [[], ["demo:echo"]])
def test_model_not_allowed(client, gateway, models):
    if gateway.narrow_key is None:
        pytest.skip("needs a key with an allow list")
    narrow = client.with_options(api_key=gateway.narrow_key)
    assert narrow.chat.completions.create(model="demo:echo", messages=HELLO).choices
    for first, rest in (("demo:slow", models), ("demo:echo", [*models, "demo:slow"])):
        extra = {"models": rest} if rest else {}
        error = refusal(lambda: narrow.chat.completions.create(model=first, messages=HELLO, extra_body=extra))
        assert isinstance(error, openai.UnprocessableEntityError), f"{first}, {rest}"
        assert error.code == "ERR_TOLLGATE_3803" and "not allowed" in error.message


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'{"messages": []}', b'{"model": 1}', b'{"model": "demo:echo", "models": "demo:429"}', b"\xff\xfe"],
)
def test_invalid_body(gateway, body):
    status, answer = raw_post(gateway, "/v1/chat/completions", body)
    error = json.loads(answer)["error"]
    assert (status, error["code"]) == (400, "ERR_TOLLGATE_3801"), error


def test_a_provider_sees_its_own_key_and_not_the_caller_s(client, gateway, stub):
    client.chat.completions.create(
        model="stub:anything",
        messages=HELLO,
        extra_body={"models": ["stub:another"], "field_nobody_knows": {"a": [1, None]}},
        extra_headers={"cookie": "session=1", "x-client-request-id": "kept", "x-unknown": "left out"},
        extra_query={"q": "1"},
    )
    ((path, headers, body),) = stub.requests
    assert path == "/v1/chat/completions?q=1"
    assert headers["authorization"] == f"Bearer {UPSTREAM_KEY}"
    assert headers["x-client-request-id"] == "kept"
    assert "cookie" not in headers and "x-unknown" not in headers
    assert gateway.key not in str(headers) and gateway.key.encode() not in body
    sent = json.loads(body)
    assert sent["model"] == "anything", "the id that the provider knows"
    assert "models" not in sent, "a field of the gateway's own"
    assert sent["field_nobody_knows"] == {"a": [1, None]}, "agents depend on fields no gateway has heard of"


def test_the_operators_pages(client, gateway):
    if gateway.admin_url is None:
        pytest.skip("needs TOLLGATE_ADMIN_URL")
    client.chat.completions.create(model="demo:429", messages=HELLO, extra_body={"models": ["demo:echo"]})
    assert gateway.admin("/healthz")[0] == 200
    assert json.loads(gateway.admin("/readyz")[1]) == {"status": "ready"}
    status, text = gateway.admin("/metrics")
    assert status == 200
    for name in ("requests_total", "attempts_total", "tokens_total", "requests_in_flight", "gateway_overhead_seconds_count"):
        assert f"\ntollgate_{name}" in text, name
    assert 'provider="demo"' in text


def test_the_access_log_tells_the_request_and_no_secret(client, gateway):
    if gateway.log is None:
        pytest.skip("needs TOLLGATE_BIN")
    client.chat.completions.create(
        model="demo:500",
        messages=[{"role": "user", "content": "a private matter"}],
        extra_body={"models": ["demo:echo"]},
        extra_headers={"x-request-id": "log-test"},
        extra_query={"token": "in-the-query"},
    )
    line, entry = gateway.log_entry("log-test")
    assert entry["status"] == 200 and entry["access_key"] == "sdk"
    assert entry["path"] == "/v1/chat/completions" and entry["surface"] == "openai/chat-completions"
    assert entry["requested_model"] == "demo:500"
    assert (entry["provider"], entry["model"]) == ("demo", "echo")
    assert [attempt["model"] for attempt in entry["attempts"]] == ["500", "echo"]
    assert entry["tokens"]["input"] > 0 and entry["bytes_in"] > 0 and entry["bytes_out"] > 0
    for secret in (gateway.key, "private", "in-the-query"):
        assert secret not in line


def test_a_rotated_access_log_is_let_go(own_gateway):
    def chat(request_id):
        with openai.OpenAI(base_url=f"{own_gateway.url}/v1", api_key=own_gateway.key, max_retries=0) as client:
            client.chat.completions.create(model="demo:echo", messages=HELLO, extra_headers={"x-request-id": request_id})

    chat("before")
    own_gateway.log_entry("before")
    own_gateway.log.rename(own_gateway.log.with_suffix(".1"))
    own_gateway.process.send_signal(signal.SIGHUP)
    for _ in range(100):
        if own_gateway.log.exists():
            break
        threading.Event().wait(0.05)
    chat("after")
    own_gateway.log_entry("after")


def test_a_stream_under_way_survives_sigterm(own_gateway):
    with openai.OpenAI(base_url=f"{own_gateway.url}/v1", api_key=own_gateway.key, max_retries=0) as client:
        stream = client.chat.completions.create(
            model="demo:long", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
        first = next(iter(stream))
        own_gateway.process.send_signal(signal.SIGTERM)
        rest = list(stream)
    assert first.choices
    assert rest[-1].usage is not None, "the stream ended as it should, not cut"
    assert own_gateway.process.wait(15) == 0
