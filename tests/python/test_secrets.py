"""Secrets are planted everywhere, and then looked for in everything that a gateway says and keeps.

What may be told: digests (they are not looked for), sealed values, `first10***last4`, and a new token, once. What is
looked for is each secret as it is, in base64 and as hexadecimal digits.
"""

import base64
import contextlib
import hashlib
import json
import secrets
import time

import httpx
import pytest

from control import BANKS, DECLARED_KEY, DECLARED_TOKEN, PUBLISHED, READER, chat, control_plane
from gateways import ADMIN_KEY, MASTER_KEY, PLANTED, assert_untold, files, forms, told

# They do not contain PLANTED, so that nothing else finds them: what follows is the only place that knows them.
PROMPT = "the-prompt-that-nobody-may-read-" + "f3b1c9a7"
ANSWER = "the-answer-that-nobody-may-read-" + "77e0d2c4"
PREVIOUS = hashlib.sha256(b"a former master key").hexdigest()
QUERY = "the-query-" + PLANTED + "-0123456789"


def value():
    return f"sk-{secrets.token_hex(6)}-{PLANTED}-{secrets.token_hex(8)}"


class Listener:
    """Every answer that anybody gets; those that show a token on purpose are told apart."""

    def __init__(self, gateway):
        self.gateway = gateway
        self.heard = []
        self.tokens = []
        self.admin = self.client(gateway.admin_url)
        self.proxy = self.client(gateway.url)

    def client(self, url):
        return httpx.Client(base_url=url, timeout=20, event_hooks={"response": [self.listen]})

    def listen(self, answer):
        answer.read()
        text = f"{answer.status_code} {answer.headers} {answer.text}"
        with_token = answer.status_code == 201 and "token" in answer.text and answer.json().get("token")
        if with_token:
            self.tokens.append(answer.json()["token"])
            text = text.replace(json.dumps(answer.json()["token"]), "")
        self.heard.append((answer.request.url.path, text))

    def call(self, method, path, key=ADMIN_KEY, **arguments):
        headers = {"authorization": f"Bearer {key}", **arguments.pop("headers", {})}
        return self.admin.request(method, path, headers=headers, **arguments)

    def chat(self, token, model, **more):
        body = {"model": model, "messages": [{"role": "user", "content": PROMPT}], **more}
        with contextlib.suppress(httpx.RemoteProtocolError):
            self.proxy.post("/v1/chat/completions", headers={"authorization": f"Bearer {token}"}, json=body)


def exercise(gateway, hear):
    """Everything that the control plane does, done well and done badly, with secrets in every place."""
    values = [value() for _ in range(6)]
    stub = gateway.stub
    base = f"http://127.0.0.1:{stub.port}"
    provider = hear.call("POST", "/providers", json={"providerId": "leaky", "name": "n", "baseUrl": base}).json()
    key = hear.call("POST", "/provider-keys", json={"providerId": "leaky", "name": "n", "value": values[0]}).json()
    hear.call("POST", f"/provider-keys/{key['id']}/rotate", json={"name": "n", "value": values[1]})
    rules = [{"provider": "leaky", "steps": [{"type": "user", "keys": [{"id": key["id"]}, {"name": "i", "value": values[2]}]}]}]
    made = hear.call("POST", "/access-key-configurations", json={"name": "c", "router": {"rules": rules}})
    assert made.status_code == 201, made.text
    access = hear.call("POST", "/access-keys", json={"accessKeyConfigurationId": made.json()["id"]}).json()
    login = hear.call("POST", "/api-keys", json={"name": "n"}).json()
    assert len(hear.tokens) == 2

    # Good and bad traffic, with a provider that repeats the key it was sent.
    stub.echo = ANSWER
    for model in ("leaky:m", "leaky:status-401", "leaky:status-403", "leaky:status-429", "leaky:status-500", "leaky:broken", "demo:echo", "demo:cut"):
        for stream in (False, True):
            hear.chat(access["token"], model, stream=stream, user=PROMPT)
    assert any(values[1] in str(headers) for _, headers, _ in stub.requests), "the provider was sent the key"
    hear.chat(DECLARED_TOKEN, "stub:status-401")
    hear.chat("tg-unknown-g1-" + PLANTED + "0" * 36, "demo:echo")
    hear.chat(values[3], "demo:echo")
    # The names of models are no secrets: the access log tells them.
    for content in (b"{" + values[3].encode(), json.dumps({"model": "demo:echo", "messages": values[3]}).encode(), values[3].encode()):
        hear.proxy.post("/v1/chat/completions", headers={"authorization": f"Bearer {access['token']}"}, content=content)
    hear.proxy.get(f"/v1/models?key={QUERY}", headers={"x-api-key": access["token"]})

    # Secrets where they do not belong.
    wrong = [
        ("POST", "/provider-keys", {"json": {"providerId": values[3], "name": "n", "value": values[3]}}),
        ("POST", "/provider-keys", {"json": {"providerId": "openai", "name": "n", "value": [values[3]]}}),
        ("POST", "/provider-keys", {"json": {"providerId": "openai", "name": "n", "value": {values[3]: values[3]}}}),
        ("POST", "/provider-keys", {"json": {"providerId": "openai", "name": "n", "value": values[3] + "\n"}}),
        ("POST", "/provider-keys", {"json": {"providerId": "openai", "name": "n", "value": values[3] + "ä"}}),
        ("POST", "/provider-keys", {"json": {"providerId": "openai", "name": {"x": values[3]}, "value": values[3]}}),
        ("POST", "/provider-keys", {"json": {"providerId": "openai", "name": "n", "value": values[3], values[3]: 1}}),
        ("POST", "/provider-keys", {"json": {"providerId": "openai", "name": "n", "value": values[3], "keySource": values[3]}}),
        ("POST", "/provider-keys", {"json": [values[3]]}),
        ("POST", "/provider-keys", {"json": values[3]}),
        ("POST", "/provider-keys", {"content": b'{"value": "' + values[3].encode(), "headers": {"content-type": "application/json"}}),
        ("POST", "/provider-keys", {"content": values[3].encode(), "headers": {"content-type": values[3]}}),
        ("POST", f"/provider-keys/{key['id']}/rotate", {"json": {"name": "n", "value": 5, "values": values[3]}}),
        ("POST", f"/provider-keys/{values[3]}/rotate", {"json": {"name": "n", "value": values[3]}}),
        ("PATCH", f"/provider-keys/{key['id']}", {"json": {"value": values[3]}}),
        ("POST", "/access-key-configurations", {"json": {"name": "c", "router": {"rules": [{"provider": values[3], "steps": [{"type": values[3], "keys": [{"name": 1, "value": values[3]}]}]}]}}}),
        ("POST", "/access-key-configurations", {"json": {"name": "c", "router": {"rules": [{"provider": "openai", "steps": [{"type": "user", "keys": [{"id": values[3]}]}]}]}}}),
        ("POST", "/access-keys", {"json": {"accessKeyConfigurationId": values[3]}}),
        ("POST", "/providers", {"json": {"providerId": "p", "name": "n", "baseUrl": f"https://user:{values[3]}@host/"}}),
        ("POST", "/providers", {"json": {"providerId": values[3], "name": "n", "baseUrl": values[3]}}),
        ("POST", "/providers", {"json": {"providerId": "openai", "name": "n", "baseUrl": "https://h", "auth": {"header": values[3]}}}),
        ("PATCH", "/gateway-config", {"json": {"totalTimeout": values[3]}}),
        ("POST", "/credits/grants", {"json": {"usd": values[3], "category": values[3]}}),
        ("POST", "/accounts", {"json": {"id": values[3]}}),
        ("GET", f"/access-keys/{access['token']}", {}),
        ("DELETE", f"/access-keys/{access['token']}", {}),
        ("GET", f"/{access['token']}", {}),
        ("GET", "/access-keys", {"params": {values[3]: values[3]}}),
        ("GET", "/access-keys", {"params": {"limit": values[3]}}),
        ("GET", "/usage", {"params": {"startTime": values[3], "cursor": values[3]}}),
        ("GET", "/audit-log", {"params": {"before": values[3]}}),
        ("GET", "/access-keys", {"headers": {"x-tollgate-account": values[3]}}),
    ]
    for method, path, arguments in wrong:
        answer = hear.call(method, path, **arguments)
        assert 400 <= answer.status_code < 500, f"{method} {path} {arguments}: {answer.status_code}"
    for wrong_key in (value(), access["token"], values[1]):
        assert hear.call("GET", "/access-keys", wrong_key).status_code == 401
    assert hear.call("POST", "/access-keys", READER, json={"name": values[3]}).status_code == 403
    hear.call("GET", "/access-keys", login["token"])

    hear.call("PATCH", f"/access-keys/{access['id']}", json={"name": "m"})
    hear.call("PATCH", f"/api-keys/{login['id']}", json={"name": "m"})
    hear.call("PATCH", f"/provider-keys/{key['id']}", json={"name": "m"})
    # And everything is read.
    for path in PUBLISHED["paths"]:
        for id in (key["id"], access["id"], login["id"], provider["id"], made.json()["id"], "declared-key", "environment", "reader"):
            hear.call("GET", path.replace("{id}", id), params={"startTime": "2020-01-01T00:00:00Z"} if "usage" in path else {})
            if "{id}" not in path:
                break
    for path in ("/audit-log", "/accounts", "/cool-downs", "/catalog/providers", "/catalog/models", "/ledger/verification", "/metrics", "/readyz", "/docs", "/openapi.json"):
        hear.call("GET", path)
    assert len(hear.call("GET", "/audit-log").json()["auditLog"]) >= 8
    hear.call("DELETE", f"/api-keys/{login['id']}")
    return values


def commands(gateway, values):
    """What the command line says, when it is told secrets."""
    env = {"TOLLGATE_ADMIN_KEY": ADMIN_KEY, "TOLLGATE_ADMIN_URL": gateway.admin_url, "TOLLGATE_MASTER_KEY": MASTER_KEY}
    (gateway.directory / "tollgate.yaml.value").write_text(values[4])
    runs = [
        gateway.command(*arguments, env=env)
        for arguments in (
            ("provider-keys", "create", "--provider-id", "openai", "--name", "cli", "--value", "@tollgate.yaml.value"),
            ("provider-keys", "create", "--provider-id", "opnai", "--name", "cli", "--value", values[4], "--json"),
            ("provider-keys", "list", "--json"),
            ("audit-log", "list", "--json"),
            ("access-key-configurations", "create", "--name", "n", "--router", "{" + values[4]),
            ("access-keys", "get", values[4]),
            ("check", "--config", "tollgate.yaml"),
        )
    ]
    assert runs[0].returncode == 0, runs[0].stderr
    wrong = gateway.command("access-keys", "list", env={**env, "TOLLGATE_ADMIN_KEY": values[4]})
    assert wrong.returncode == 1
    away = gateway.command("access-keys", "list", "--url", "http://127.0.0.1:9", env=env)
    assert away.returncode == 1
    return [f"{run.args[1]}: {run.stdout} {run.stderr}" for run in (*runs, wrong, away)]


@pytest.mark.parametrize("bank", BANKS)
def test_no_secret_is_told(bank, tmp_path):
    env = {"TOLLGATE_LOG": "trace,pingora=trace", "TOLLGATE_MASTER_KEY_PREVIOUS": PREVIOUS}
    with control_plane(tmp_path, bank, env) as gateway:
        hear = Listener(gateway)
        values = exercise(gateway, hear)
        said = commands(gateway, values)
        time.sleep(1.2)
        all_secrets = [PLANTED, ADMIN_KEY, MASTER_KEY, bytes.fromhex(MASTER_KEY), PREVIOUS, bytes.fromhex(PREVIOUS), PROMPT, *values, *hear.tokens]
        assert len(hear.tokens) == 2 and len(hear.heard) > 80
        for path, text in hear.heard:
            private = all_secrets
            if path.startswith("/v1/"):
                # Their own prompt they know.
                private = [one for one in all_secrets if one != PROMPT]
                if "x-tollgate-provider" in text and text[:3] in ("401", "403", "429", "500"):
                    continue  # the provider's own words; see the next test
            found = told(private, text)
            assert found is None, f"an answer tells {found!r}: {path} {text[:2000]}"
        for text in said:
            assert told(all_secrets, text) is None, f"{told(all_secrets, text)!r}: {text}"
        if gateway.redis:
            found = told([*all_secrets, ANSWER], gateway.redis.everything())
            assert found is None, f"Redis holds {found!r}"
    # Everything on the disk, when all of it is written.
    log = (tmp_path / "stderr.log").read_text()
    assert " TRACE " in log, "the log was as talkative as it can be"
    assert len((tmp_path / "access.log").read_text().splitlines()) > 15
    names = [path.name for path in files(tmp_path)]
    assert bank == "redis" or any(name.endswith(".db") for name in names), names
    assert_untold([*all_secrets, ANSWER], tmp_path)


def test_a_provider_that_repeats_the_key_it_was_sent(tmp_path):
    with control_plane(tmp_path, "sqlite") as gateway:
        gateway.stub.echo = ANSWER
        answer = chat(gateway, DECLARED_TOKEN, "stub:status-401")
        assert answer.status_code == 401
        assert told([DECLARED_KEY], answer.text) is None


def test_what_is_looked_for_would_be_found():
    secret = b"sk-0123456789-PLANTED"
    for around in (b"", b"x", b"xy", b"xyz"):
        text = around + secret + around
        for encoded in (text, text.hex().encode(), text.hex().upper().encode(), base64.b64encode(text), base64.urlsafe_b64encode(text)):
            assert told([secret], encoded), (around, encoded)
    assert told([secret], b"sk-0123456***NTED") is None
    assert len(set(forms(secret))) >= 6
