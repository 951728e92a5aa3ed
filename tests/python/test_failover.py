"""What an application sees when candidates fail: nothing, or an error it can classify."""

import openai
import pytest

HELLO = [{"role": "user", "content": "Hello there"}]


def chat(client, model, then=(), stream=False, **more):
    """Status, headers and text of an answer."""
    extra = {"models": list(then)} if then else {}
    raw = client.chat.completions.with_raw_response.create(
        model=model, messages=HELLO, stream=stream, extra_body=extra, **more
    )
    parsed = raw.parse()
    if stream:
        text = "".join(chunk.choices[0].delta.content or "" for chunk in parsed if chunk.choices)
    else:
        text = parsed.choices[0].message.content
    return raw.headers, text


@pytest.mark.parametrize("stream", [False, True])
def test_headers_tell_who_answered(client, stream):
    headers, _ = chat(client, "demo:echo", stream=stream, extra_headers={"x-request-id": f"sdk-test-{stream}"})
    assert headers["x-tollgate-provider"] == "demo"
    assert headers["x-tollgate-model"] == "echo"
    assert headers["x-tollgate-attempts"] == "1"
    assert headers["x-request-id"] == f"sdk-test-{stream}", "the client's own id is kept"

    headers, _ = chat(client, "demo:echo", stream=stream, extra_headers={"x-request-id": "x" * 5000})
    assert 0 < len(headers["x-request-id"]) < 200, "an id that is not sane is replaced"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "first",
    ["429", "429-bare", "401", "500", "503", "529", "400-context", "silent", "stall", "cut-early", "error-event", "overloaded"],
)
def test_the_next_model_answers(client, first, stream):
    headers, text = chat(client, f"demo:{first}", ["demo:echo"], stream)
    assert text == "You said: Hello there"
    # A model whose limit was reached is not asked again at once.
    rests = first in {"429", "429-bare", "529"}
    assert headers["x-tollgate-attempts"] == "2" or rests
    assert headers["x-tollgate-model"] == "echo"


def test_an_answer_cut_in_the_middle_is_taken_back_when_it_was_not_streamed(client):
    headers, text = chat(client, "demo:cut", ["demo:echo"])
    assert text == "You said: Hello there"
    assert headers["x-tollgate-attempts"] == "2"


def test_every_way_to_fail_in_a_row(client):
    rest = ["demo:500", "demo:cut-early", "demo:error-event", "demo:stall", "demo:echo"]
    headers, text = chat(client, "demo:429", rest, stream=True)
    assert text == "You said: Hello there"
    assert headers["x-tollgate-attempts"] in ("5", "6"), "the first one may still rest"


def test_a_long_body_reaches_the_last_candidate_whole(client, stub):
    words = "0123456789abcdef " * 60_000
    client.chat.completions.create(
        model="stub:status-500",
        messages=[{"role": "user", "content": words}],
        extra_body={"models": ["stub:status-503", "stub:good"]},
    )
    assert len(stub.requests) == 3
    for _, _, body in stub.requests:
        assert words.encode() in body, "every attempt gets the whole prompt"


@pytest.mark.parametrize(
    ("model", "expected", "status"),
    [
        ("demo:401", openai.AuthenticationError, 401),
        ("demo:400-context", openai.BadRequestError, 400),
        ("demo:no-such-model", openai.NotFoundError, 404),
        ("demo:429", openai.RateLimitError, 429),
        ("demo:500", openai.InternalServerError, 500),
        ("demo:503", openai.InternalServerError, 503),
        ("stub:status-403", openai.PermissionDeniedError, 403),
        ("stub:status-409", openai.ConflictError, 409),
        ("stub:status-422", openai.UnprocessableEntityError, 422),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_provider_s_own_error_is_relayed(client, gateway, model, expected, status, stream):
    if model.startswith("stub:") and gateway.stub is None:
        pytest.skip("needs TOLLGATE_BIN")
    with pytest.raises(expected) as error:
        client.chat.completions.create(model=model, messages=HELLO, stream=stream)
    assert error.value.status_code == status
    assert not str(error.value.code).startswith("ERR_TOLLGATE"), "the provider's body, not ours"
    assert error.value.response.headers["x-tollgate-attempts"] == "1"


def test_retry_after_is_relayed(client):
    with pytest.raises(openai.RateLimitError) as error:
        client.chat.completions.create(model="demo:429", messages=HELLO)
    assert int(error.value.response.headers["retry-after"]) >= 1


def test_all_fail_alike(client):
    with pytest.raises(openai.RateLimitError):
        chat(client, "demo:429", ["demo:429-bare"])


def test_all_fail_differently(client):
    with pytest.raises(openai.InternalServerError) as error:
        chat(client, "demo:429", ["demo:500", "demo:401"])
    assert error.value.status_code == 503
    assert error.value.code == "ERR_TOLLGATE_3807"
    for name in ("429", "500", "401"):
        assert name in str(error.value), "one line per attempt"


def test_a_provider_that_cannot_be_reached(client, gateway):
    if gateway.stub is None:
        pytest.skip("needs TOLLGATE_BIN")
    with pytest.raises(openai.InternalServerError) as error:
        chat(client, "nowhere:anything")
    assert (error.value.status_code, error.value.code) == (502, "ERR_TOLLGATE_3800")
    headers, text = chat(client, "nowhere:anything", ["demo:echo"])
    assert text == "You said: Hello there"


def test_failover_can_be_switched_off(client):
    with pytest.raises(openai.RateLimitError) as error:
        chat(client, "demo:429", ["demo:echo"], extra_headers={"x-tollgate-failover": "off"})
    assert error.value.response.headers["x-tollgate-attempts"] == "1"


@pytest.mark.parametrize("surface", ["chat", "completions", "responses"])
def test_a_stream_cut_after_content_ends_with_an_error(client, surface):
    pieces = []
    with pytest.raises(openai.APIError):  # APIConnectionError is one
        if surface == "chat":
            for chunk in client.chat.completions.create(model="demo:cut", messages=HELLO, stream=True):
                pieces += [choice.delta.content for choice in chunk.choices]
        elif surface == "completions":
            for chunk in client.completions.create(model="demo:cut", prompt="Hello there", stream=True):
                pieces += [choice.text for choice in chunk.choices]
        else:
            for event in client.responses.create(model="demo:cut", input="Hello there", stream=True):
                pieces += [event.delta] if event.type == "response.output_text.delta" else []
                if event.type in ("error", "response.failed"):
                    raise openai.APIError(event.type, request=None, body=None)
                assert event.type != "response.completed", "a broken answer is never called complete"
    assert any(pieces), "the content before the cut arrived"


@pytest.mark.parametrize("model", ["demo:error-event", "demo:overloaded"])
def test_a_stream_that_starts_with_an_error(client, model):
    with pytest.raises(openai.APIError):
        for _ in client.chat.completions.create(model=model, messages=HELLO, stream=True):
            pass


def test_a_slow_first_token_is_waited_for(client):
    # Slower than `per_request`, but it shows life before.
    headers, text = chat(client, "demo:slow", ["demo:echo"], stream=True)
    assert text.startswith("You said: Hello there") and headers["x-tollgate-attempts"] == "1"
