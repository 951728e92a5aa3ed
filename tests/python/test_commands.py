"""The command line over a running gateway's API, and the way to a new master key."""

import json
import secrets

import pytest

from control import BANKS, DECLARED_TOKEN, Api, chat, control_plane, provider_key_value
from gateways import ADMIN_KEY, MASTER_KEY, running


@pytest.fixture(scope="module")
def plane(tmp_path_factory):
    with control_plane(tmp_path_factory.mktemp("commands"), "sqlite") as gateway:
        yield gateway


@pytest.fixture
def tollgate(plane):
    def run(*arguments, env=None, stdin=None, code=0):
        env = {"TOLLGATE_ADMIN_KEY": ADMIN_KEY, "TOLLGATE_ADMIN_URL": plane.admin_url, **(env or {})}
        done = plane.command(*arguments, env=env, stdin=stdin)
        assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert (done.stderr == "") == (code == 0) or "token" in done.stderr, done.stderr
        return done

    return run


def test_an_access_key_from_birth_to_death(tollgate, plane):
    shown = tollgate("access-keys", "create", "--name", "Web app", "--description", "d")
    assert "shown only now" in shown.stderr and "name: Web app" in shown.stdout
    made = json.loads(tollgate("access-keys", "create", "--name", "robot", "--metadata", "@@m", "--json").stdout)
    assert made["metadata"] == "@m" and chat(plane, made["token"]).status_code == 200
    table = tollgate("access-keys", "list").stdout
    assert table.splitlines()[0].startswith("ID") and "KEY REDACTED" in table and made["id"] in table and "Web app" in table
    listed = json.loads(tollgate("access-keys", "list", "--limit", "1", "--json").stdout)
    assert len(listed["aiGatewayAccessKeys"]) == 1
    one = json.loads(tollgate("access-keys", "get", made["id"], "--json").stdout)
    assert "token" not in one and one["name"] == "robot"
    changed = json.loads(tollgate("access-keys", "update", made["id"], "--name", "n", "--clear", "metadata", "--json").stdout)
    assert changed["name"] == "n" and "metadata" not in changed
    assert tollgate("access-keys", "delete", made["id"]).stdout == ""
    gone = tollgate("access-keys", "get", made["id"], code=1)
    assert "404" in gone.stderr and "ERR_TOLLGATE_4040" in gone.stderr and gone.stdout == ""
    assert chat(plane, made["token"]).status_code == 401


def test_a_list_is_read_page_by_page_wherever_the_gateway_says_it_is(tmp_path):
    """The gateway may be known under another address with a path, and a page holds 100."""
    keys = [{"id": f"key-{number:03}", "sha256": f"{number:064x}"} for number in range(230)]
    configuration = {
        "access_keys": keys,
        "admin": {"public_url": "https://tollgate.example.com/api"},
        "ledger": {"credits": "off"},
    }
    env = {"TOLLGATE_ADMIN_KEY": ADMIN_KEY}
    with running(tmp_path, configuration, env) as gateway:

        def listed(*arguments):
            env = {"TOLLGATE_ADMIN_KEY": ADMIN_KEY, "TOLLGATE_ADMIN_URL": gateway.admin_url}
            done = gateway.command("access-keys", "list", "--json", *arguments, env=env)
            assert done.returncode == 0, done.stderr
            page = json.loads(done.stdout)
            return [key["id"] for key in page["aiGatewayAccessKeys"]], page["nextPageUri"]

        every, after = listed()
        assert (len(set(every)), after) == (230, None)
        for most in (1, 99, 100, 101, 150, 229, 230, 500):
            ids, after = listed("--limit", str(most))
            assert ids == every[:most], most
            assert (after is None) == (most >= 230), after
            assert after is None or f"beforeId={ids[-1]}" in after, "it goes on behind the last one"


def test_values_come_from_files(tollgate, plane):
    value = provider_key_value()
    file = plane.directory / "tollgate.yaml.value"
    file.write_text(value + "\n")
    shown = f"{value[:10]}***{value[-4:]}"
    command = ("provider-keys", "create", "--provider-id", "openai", "--name", "k", "--json")
    made = json.loads(tollgate(*command, "--value", f"@{file.name}").stdout)
    assert made["keyRedacted"] == shown
    piped = json.loads(tollgate(*command, "--value", "@-", stdin=value + "\n").stdout)
    assert piped["keyRedacted"] == shown
    missing = tollgate(*command, "--value", "@nowhere", code=1)
    assert "--value" in missing.stderr
    other = provider_key_value()
    rotated = json.loads(tollgate("provider-keys", "rotate", made["id"], "--name", "r", "--value", "@-", "--json", stdin=other).stdout)
    assert rotated["keyRedacted"] == f"{other[:10]}***{other[-4:]}"
    router = json.dumps({"rules": [{"provider": "openai", "steps": [{"type": "user", "keys": [{"id": made["id"]}]}]}]})
    configuration = json.loads(
        tollgate("access-key-configurations", "create", "--name", "c", "--router", "@-", "--json", stdin=router).stdout
    )
    used = tollgate("provider-keys", "delete", made["id"], code=1)
    assert "409" in used.stderr and configuration["id"] in used.stderr
    key = plane.directory / "tollgate.yaml.admin"
    key.write_text(ADMIN_KEY + "\n")
    tollgate("access-keys", "list", "--api-key-file", key.name, env={"TOLLGATE_ADMIN_KEY": ""})


def test_what_is_wrong_is_said(tollgate, plane):
    refused = tollgate("provider-keys", "create", "--provider-id", "opnai", "--name", "n" * 256, "--value", "v", code=1)
    assert "422" in refused.stderr and "\n  name must have at most 255 characters" in refused.stderr
    for arguments in (
        ("access-keys",),
        ("access-keys", "get"),
        ("access-keys", "create", "--colour", "red"),
        ("access-keys", "update", "id", "--clear", "id"),
        ("access-keys", "list", "--limit", "many"),
        ("provider-keys", "create", "--name", "n"),
    ):
        tollgate(*arguments, code=2)
    no_json = tollgate("access-key-configurations", "create", "--name", "n", "--router", "{", code=1)
    assert "--router must be JSON" in no_json.stderr
    wrong = tollgate("access-keys", "list", env={"TOLLGATE_ADMIN_KEY": "wrong-key-" + secrets.token_hex(8)}, code=1)
    assert "401" in wrong.stderr
    none = tollgate("access-keys", "list", env={"TOLLGATE_ADMIN_KEY": ""}, code=1)
    assert "TOLLGATE_ADMIN_KEY" in none.stderr
    away = tollgate("access-keys", "list", "--url", "http://127.0.0.1:9", code=1)
    assert "cannot be reached" in away.stderr
    elsewhere = tollgate("access-keys", "list", "--url", plane.url, code=1)
    assert elsewhere.stderr.startswith("tollgate: ")


def test_every_kind_has_its_commands(tollgate):
    assert "tests" not in tollgate("accounts", "list").stdout
    tollgate("accounts", "create", "--id", "cli", "--name", "n")
    mine = json.loads(tollgate("access-keys", "create", "--account", "cli", "--json").stdout)
    assert mine["accountId"] == "cli"
    assert mine["id"] not in tollgate("access-keys", "list").stdout
    assert mine["id"] in tollgate("access-keys", "list", "--account", "cli").stdout
    config = json.loads(tollgate("gateway-config", "update", "--total-timeout", "90s", "--max-input-tokens", "5", "--json").stdout)
    assert (config["totalTimeout"], config["maxInputTokens"]) == ("1m30s", 5)
    tollgate("gateway-config", "update", "--clear", "max-input-tokens")
    assert json.loads(tollgate("gateway-config", "get", "--json").stdout)["maxInputTokens"] is None
    tollgate("api-keys", "create", "--role", "read-only")
    tollgate("cool-downs", "clear")
    entries = json.loads(tollgate("audit-log", "list", "--json").stdout)["auditLog"]
    assert {entry["kind"] for entry in entries} >= {"access-key", "account", "api-key"}


@pytest.mark.parametrize("bank", BANKS)
def test_a_new_master_key(bank, tmp_path):
    """As `tollgate secrets rotate-master --help` says, beside a running gateway with credentials in use."""
    new = secrets.token_hex(32)
    value = provider_key_value()
    env = {"TOLLGATE_ADMIN_KEY": ADMIN_KEY}
    both = {**env, "TOLLGATE_MASTER_KEY": new, "TOLLGATE_MASTER_KEY_PREVIOUS": MASTER_KEY}
    command = ("secrets", "rotate-master", "--config", "tollgate.yaml")

    def served(gateway, stub):
        stub.forget()
        answer = chat(gateway, DECLARED_TOKEN, "own:m")
        assert answer.status_code == 200, answer.text
        assert stub.requests[0][1]["authorization"] == f"Bearer {value}"

    def stopped(gateway):
        gateway.process.terminate()
        gateway.process.wait(20)

    with control_plane(tmp_path, bank, secrets=[new]) as gateway:
        stub = gateway.stub
        api = Api(gateway)
        models = [{"modelId": "m"}]
        api.call("post", "/providers", body={"providerId": "own", "name": "n", "baseUrl": f"http://127.0.0.1:{stub.port}", "models": models})
        body = {"providerId": "own", "name": "n", "value": value}
        keys = [api.call("post", "/provider-keys", body=body) for _ in range(3)]
        api.close()
        served(gateway, stub)
        stopped(gateway)
        config = json.loads((tmp_path / "tollgate.yaml").read_text())
        for section in ("demo", "log", "proxy"):
            config.pop(section)
        config["admin"].pop("listen")
        with running(tmp_path, config, both) as gateway:
            served(gateway, stub)
            if bank == "redis":
                lost = gateway.command(*command, env={**env, "TOLLGATE_MASTER_KEY": new})
                assert lost.returncode == 1 and keys[0]["id"] in lost.stderr, "the old key is needed as well"
            done = gateway.command(*command, env=both)
            assert done.returncode == 0 and done.stdout.startswith("3 encrypted anew"), done.stdout + done.stderr
            again = gateway.command(*command, env=both)
            assert again.stdout.startswith("0 encrypted anew") and "3 were already" in again.stdout
            served(gateway, stub)
        with running(tmp_path, config, {**env, "TOLLGATE_MASTER_KEY": new}) as gateway:
            served(gateway, stub)
            api = Api(gateway)
            shown = api.call("get", "/provider-keys/{id}", keys[0]["id"])
            assert shown["keyRedacted"] == keys[0]["keyRedacted"]
            api.close()
