"""Sign-in to the console by OpenID Connect, as a browser's requests see it, against a provider that can be wrong."""

import contextlib
import html
import json
import re
import time
import urllib.parse

import httpx
import pytest

import gateways
from gateways import ADMIN_KEY, MASTER_KEY
from identity import CLIENT, SECRET, Identity

ROLES = [
    {"group": "team-a", "role": "full", "account": "acme"},
    {"group": "team-b", "role": "read-only", "account": "beta"},
    {"group": "readers", "role": "read-only"},
    {"group": "<b>ops</b>", "role": "full"},
]


def configuration(issuer, **more):
    oidc = {"issuer": issuer, "client_id": CLIENT, "client_secret": "${OIDC_SECRET}", "roles": ROLES, **more}
    return {"admin": {"oidc": oidc}, "accounts": [{"id": "acme"}, {"id": "beta"}], "providers": [], "access_keys": []}


def started(directory, issuer, **more):
    env = {"TOLLGATE_ADMIN_KEY": ADMIN_KEY, "TOLLGATE_MASTER_KEY": MASTER_KEY, "OIDC_SECRET": SECRET}
    return gateways.running(directory, configuration(issuer, **more), env)


@pytest.fixture(scope="module")
def identity():
    identity = Identity()
    yield identity
    identity.close()


@pytest.fixture(autouse=True)
def right(identity):
    identity.wrong, identity.more = None, {}
    identity.person = {"sub": "u-1", "email": "ann@example.com", "groups": ["team-a"]}


@pytest.fixture(scope="module")
def gateway(identity, tmp_path_factory):
    with started(tmp_path_factory.mktemp("oidc"), identity.issuer) as gateway:
        yield gateway


@contextlib.contextmanager
def browser(gateway):
    with httpx.Client(base_url=gateway.admin_url, timeout=30) as client:
        yield client


def begin(client, next="/"):
    answer = client.get("/console/sign-in/oidc", params={"next": next})
    assert answer.status_code == 303, answer.text
    return answer


def sign_in(client, identity, next="/"):
    return client.get(identity.approve(begin(client, next).headers["location"]))


def is_signed_in(client):
    return client.get("/console/requests").status_code == 200


def refused(client, answer, status=403):
    assert answer.status_code == status, answer.text
    assert not is_signed_in(client)
    assert "tollgate-console" not in answer.headers.get("set-cookie", "")
    return answer.text


def form_token(page):
    return re.search('name="form-token" value="([^"]+)"', page.text)[1]


def test_a_person_signs_in_is_named_in_the_audit_log_and_signs_out(gateway, identity):
    with browser(gateway) as client:
        page = client.get("/console/sign-in", params={"next": "/console/books"})
        assert f"Sign in by 127.0.0.1:{identity.server.server_port}" in page.text
        assert "/console/sign-in/oidc?next=%2Fconsole%2Fbooks" in page.text
        went = begin(client, "/console/books")
        asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(went.headers["location"]).query))
        assert asked["scope"] == "openid profile email"
        assert asked["redirect_uri"] == f"{gateway.admin_url}/console/sign-in/callback"
        cookie = went.headers["set-cookie"]
        for part in ("HttpOnly", "SameSite=Lax", "Path=/console/sign-in", "Max-Age=600"):
            assert part in cookie, cookie
        secret = cookie.split("=")[1].split(".")[0]
        assert secret not in went.headers["location"]
        back = client.get(identity.approve(went.headers["location"]))
        assert back.status_code == 200, back.text
        assert 'content="0;url=/console/books"' in back.text
        assert "SameSite=Strict" in back.headers["set-cookie"]
        assert "tollgate-sign-in" not in client.cookies, "it is of use once"
        page = client.get("/console/access-keys")
        assert "ann@example.com" in page.text and "acme" in page.text
        sent = {"form-token": form_token(page), "name": "by Ann"}
        assert client.post("/console/access-keys", data=sent).status_code == 200
        headers = {"authorization": f"Bearer {ADMIN_KEY}"}
        log = client.get("/audit-log?accountId=acme", headers=headers).json()
        assert "ann@example.com" in json.dumps(log) and "oidc:u-1" in json.dumps(log), log
        out = client.post("/console/sign-out", data={"form-token": form_token(page)})
        assert out.status_code == 200 and "tollgate-console=;" in out.headers["set-cookie"]
        there = html.unescape(re.search('content="0;url=([^"]+)"', out.text)[1])
        assert there.startswith(f"{identity.issuer}/logout?theme=dark&"), there
        told = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(there).query))
        assert told["client_id"] == CLIENT and told["id_token_hint"].count(".") == 2
        assert not is_signed_in(client)


@pytest.mark.parametrize("next", ["https://evil.example", "//evil.example", "/docs", "/console/\\evil", "/console/x\r\ny: z"])
def test_a_sign_in_leads_nowhere_else(gateway, identity, next):
    with browser(gateway) as client:
        assert 'content="0;url=/"' in sign_in(client, identity, next).text
        assert is_signed_in(client)


def test_what_a_provider_cannot_have_said_is_not_believed(tmp_path, identity):
    with started(tmp_path, identity.issuer) as gateway, browser(gateway) as client:
        for identity.wrong, why in [
            ("nonce", "Invalid nonce"),
            ("issuer", "Invalid issuer"),
            ("audience", "Invalid audiences"),
            ("audiences", "Invalid audiences"),
            ("expired", "Expired"),
            ("none", "No signature found"),
            ("HS256", "Disallowed signature algorithm"),
            ("signature", "Crypto error"),
            ("no token", "there is no ID token"),
        ]:
            assert "is not believed" in refused(client, sign_in(client, identity)), identity.wrong
            assert why in (gateway.directory / "stderr.log").read_text(), identity.wrong


def test_only_the_browser_that_went_comes_back_and_a_code_is_taken_once(gateway, identity):
    with browser(gateway) as one, browser(gateway) as other:
        back = identity.approve(begin(one).headers["location"])
        refused(other, other.get(back))
        begin(other)
        refused(other, other.get(back))
        for state in ("", "A" * 43):
            refused(other, other.get(re.sub("state=[^&]*", f"state={state}", back)))
        refused(one, one.get(back + "&iss=https%3A%2F%2Fevil.example"))
        kept = dict(one.cookies)
        assert one.get(back).status_code == 200 and is_signed_in(one)
        with browser(gateway) as again:
            again.cookies.update({"tollgate-sign-in": kept["tollgate-sign-in"]})
            assert "may have been used before" in refused(again, again.get(back))
        with browser(gateway) as denied:
            state = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(begin(denied).headers["location"]).query))["state"]
            answer = denied.get("/console/sign-in/callback", params={"error": "access_denied", "state": state})
            assert "access_denied" in refused(denied, answer)


def test_who_is_in_no_mapped_group_is_told_which_came(gateway, identity):
    with browser(gateway) as client:
        identity.person["groups"] = ["<i>guests</i>", "everyone"]
        text = refused(client, sign_in(client, identity))
        assert "&lt;i&gt;guests&lt;/i&gt;" in text and "everyone" in text and "<i>guests" not in text
        del identity.person["groups"]
        assert "No groups came with you" in refused(client, sign_in(client, identity))
        identity.more = {"groups": ["team-a"]}
        assert sign_in(client, identity).status_code == 200, "userinfo tells them"
        assert is_signed_in(client)


def test_roles_and_accounts_are_those_of_the_groups(gateway, identity):
    with browser(gateway) as client:
        identity.person["groups"] = ["readers"]
        sign_in(client, identity)
        page = client.get("/console/access-keys")
        assert page.text.count('method="post"') == 1, "the sign-out"
        sent = {"form-token": form_token(page), "name": "x"}
        assert client.post("/console/access-keys", data=sent).status_code == 403
    with browser(gateway) as client:
        identity.person["groups"] = ["team-a", "team-b"]
        sign_in(client, identity)
        page = client.get("/console/access-keys?account=beta")
        assert '<option value="acme"' in page.text and page.text.count('method="post"') == 1
        sent = {"form-token": form_token(page), "name": "of beta"}
        assert client.post("/console/access-keys?account=beta", data=sent).status_code == 403
        assert client.post("/console/access-keys?account=acme", data=sent).status_code == 200
        assert client.get("/console/access-keys?account=default").status_code == 403


def test_new_keys_of_a_provider_are_read(gateway, identity):
    with browser(gateway) as client:
        identity.rotate()
        assert sign_in(client, identity).status_code == 200
        assert is_signed_in(client)


def test_a_session_ends_when_its_group_has_no_role_any_more(tmp_path, identity):
    with started(tmp_path, identity.issuer) as gateway, browser(gateway) as client:
        sign_in(client, identity)
        assert is_signed_in(client)
        file = tmp_path / "tollgate.yaml"
        changed = json.loads(file.read_text())
        changed["admin"]["oidc"]["roles"] = ROLES[1:]
        file.write_text(json.dumps(changed))
        deadline = time.monotonic() + 20
        while is_signed_in(client):
            assert time.monotonic() < deadline, "the session goes on"
            time.sleep(0.05)


def test_a_provider_that_is_away_leaves_the_start_and_api_keys_alone(tmp_path, identity):
    port = gateways.free_port()
    with started(tmp_path, f"http://127.0.0.1:{port}/realm") as gateway, browser(gateway) as client:
        answer = client.get("/console/sign-in/oidc")
        assert "cannot be asked just now" in refused(client, answer, 503)
        assert client.post("/console/sign-in", data={"key": ADMIN_KEY}).status_code == 303
        assert is_signed_in(client)
        late = Identity(port)
        try:
            deadline = time.monotonic() + 20
            with browser(gateway) as other:
                while other.get("/console/sign-in/oidc").status_code != 303:
                    assert time.monotonic() < deadline, "it is not asked again"
                    time.sleep(0.1)
                assert sign_in(other, late).status_code == 200
                assert is_signed_in(other)
        finally:
            late.close()
