"""An identity provider: OpenID Connect's code flow with PKCE, as it should be and with each fault that `wrong` names."""

import base64
import hashlib
import hmac
import html
import json
import random
import secrets
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from gateways import PLANTED

CLIENT = "gate"
SECRET = "client+secret/" + PLANTED + "-0123456789"


def b64(data):
    data = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def prime(bits):
    while True:
        n = random.getrandbits(bits) | (3 << (bits - 2)) | 1
        if all(n % small for small in (3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)) and pow(2, n - 1, n) == 1 and pow(3, n - 1, n) == 1:
            return n


class Key:
    """A key of RS256."""

    def __init__(self, kid):
        p, q = prime(1024), prime(1024)
        self.kid, self.n, self.e = kid, p * q, 65537
        self.d = pow(self.e, -1, (p - 1) * (q - 1))

    def sign(self, data):
        digest = bytes.fromhex("3031300d060960864801650304020105000420") + hashlib.sha256(data).digest()
        padded = b"\0\1" + b"\xff" * (256 - 3 - len(digest)) + b"\0" + digest
        return pow(int.from_bytes(padded), self.d, self.n).to_bytes(256)

    def public(self):
        numbers = {"n": b64(self.n.to_bytes(256)), "e": b64(self.e.to_bytes(3))}
        return {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.kid, **numbers}


class Identity:
    def __init__(self, port=0):
        self.key, self.stranger = Key("one"), Key("one")
        self.person = {"sub": "u-1", "email": "ann@example.com", "groups": ["team-a"]}
        # What is told at the userinfo endpoint only.
        self.more = {}
        self.wrong = None
        self.codes, self.tokens, self.asked = {}, {}, []
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                provider.get(self)

            def do_POST(self):
                provider.post(self)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.issuer = f"http://127.0.0.1:{self.server.server_port}/realm"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def rotate(self):
        self.key = Key(self.key.kid + "-next")

    def answer(self, request, status, body, kind="application/json", **headers):
        body = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        request.send_response(status)
        for name, value in {"content-type": kind, "content-length": len(body), **headers}.items():
            request.send_header(name, str(value))
        request.end_headers()
        request.wfile.write(body)

    def get(self, request):
        path, _, query = request.path.partition("?")
        if path == "/realm/.well-known/openid-configuration":
            at = self.issuer
            return self.answer(
                request,
                200,
                {
                    "issuer": at,
                    "authorization_endpoint": f"{at}/authorize",
                    "token_endpoint": f"{at}/token",
                    "userinfo_endpoint": f"{at}/userinfo",
                    "jwks_uri": f"{at}/keys",
                    "end_session_endpoint": f"{at}/logout?theme=dark",
                    "response_types_supported": ["code"],
                    "subject_types_supported": ["public"],
                    "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
                },
            )
        if path == "/realm/keys":
            return self.answer(request, 200, {"keys": [self.key.public()]})
        if path == "/realm/authorize":
            page = f'<!doctype html><title>Login</title><h1>Login</h1><a href="approve?{html.escape(query)}">Continue as Ann</a>'
            return self.answer(request, 200, page, "text/html")
        if path == "/realm/approve":
            return self.answer(request, 303, "", location=self.approve(request.path))
        if path == "/realm/logout":
            return self.answer(request, 200, "<!doctype html><title>Logged out</title><h1>Logged out there</h1>", "text/html")
        if path == "/realm/userinfo":
            person = self.tokens.get(request.headers.get("authorization", "").removeprefix("Bearer "))
            return self.answer(request, 200 if person else 401, {**(person or {}), **self.more})
        return self.answer(request, 404, {})

    def approve(self, address):
        """Where the browser is sent after the person has agreed."""
        asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(address).query))
        assert (asked["client_id"], asked["response_type"], asked["code_challenge_method"]) == (CLIENT, "code", "S256"), asked
        assert "openid" in asked["scope"].split(), asked
        code = "code-" + PLANTED + secrets.token_hex(8)
        self.codes[code] = {**asked, "person": dict(self.person)}
        return f"{asked['redirect_uri']}?{urllib.parse.urlencode({'code': code, 'state': asked['state']})}"

    def post(self, request):
        form = dict(urllib.parse.parse_qsl(request.rfile.read(int(request.headers["content-length"])).decode()))
        self.asked.append(form)
        client = base64.b64decode(request.headers["authorization"].removeprefix("Basic ")).decode()
        known = [urllib.parse.unquote_plus(part) for part in client.split(":")] == [CLIENT, SECRET]
        # A code is taken once.
        asked = self.codes.pop(form.get("code"), None)
        challenge = b64(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        fits = asked and challenge == asked["code_challenge"] and form["redirect_uri"] == asked["redirect_uri"]
        if not (known and fits and form["grant_type"] == "authorization_code"):
            fault = {"error": "invalid_grant", "error_description": f"no such code: {form.get('code')}"}
            return self.answer(request, 400, fault)
        access = "access-" + PLANTED + secrets.token_hex(8)
        self.tokens[access] = asked["person"]
        tokens = {"access_token": access, "token_type": "Bearer", "expires_in": 60}
        if self.wrong != "no token":
            tokens["id_token"] = self.token(asked)
        return self.answer(request, 200, tokens)

    def token(self, asked):
        now = int(time.time())
        claims = {**asked["person"], "iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": asked["nonce"]}
        claims["jti"] = PLANTED
        faults = {
            "nonce": {"nonce": "another"},
            "issuer": {"iss": "https://evil.example"},
            "audience": {"aud": "another"},
            "audiences": {"aud": [CLIENT, "another"]},
            "expired": {"iat": now - 7200, "exp": now - 3600},
        }
        claims.update(faults.get(self.wrong, {}))
        head = {"alg": "RS256", "kid": self.key.kid, "typ": "JWT"}
        if self.wrong in ("none", "HS256"):
            head = {"alg": self.wrong, "typ": "JWT"}
        text = f"{b64(head)}.{b64(claims)}"
        if self.wrong == "none":
            return text + "."
        if self.wrong == "HS256":
            return f"{text}.{b64(hmac.digest(SECRET.encode(), text.encode(), 'sha256'))}"
        key = self.stranger if self.wrong == "signature" else self.key
        return f"{text}.{b64(key.sign(text.encode()))}"
