"""Schemathesis against the admin API's own document, on both banks: no fault of the gateway, no answer that the
document does not have, and what is valid is accepted."""

import pathlib
import re
import subprocess
import sys

import pytest

from control import ADMIN_KEY, BANKS, DECLARED_TOKEN, Api, chat, control_plane, provider_key_value

HERE = pathlib.Path(__file__).parent
# Together they take less than a minute. HEAD is GET without a body, which the walk compares.
RUNS = {
    "sqlite": ["--phases", "coverage,fuzzing", "--max-examples", "4", "--max-time", "18"],
    "redis": ["--phases", "coverage,stateful", "--max-examples", "3", "--max-time", "18"],
}


def prepare(api):
    """Something to find."""
    key = api.call("post", "/provider-keys", body={"providerId": "openai", "name": "n", "value": provider_key_value()})
    rules = [{"provider": "openai", "steps": [{"type": "user", "keys": [{"id": key["id"]}]}]}]
    configuration = api.call("post", "/access-key-configurations", body={"name": "c", "router": {"rules": rules}})
    for _ in range(3):
        api.call("post", "/access-keys", body={"name": "n", "accessKeyConfigurationId": configuration["id"]})
    api.call("post", "/api-keys", body={"name": "n"})
    api.call("post", "/providers", body={"providerId": "own", "name": "n", "baseUrl": "http://127.0.0.1:9", "models": [{"modelId": "m"}]})
    assert chat(api.gateway, DECLARED_TOKEN).status_code == 200


@pytest.mark.parametrize("bank", BANKS)
def test_schemathesis(bank, tmp_path):
    with control_plane(tmp_path, bank) as gateway:
        api = Api(gateway)
        prepare(api)
        program = pathlib.Path(sys.executable).parent / "schemathesis"
        run = subprocess.run(
            [
                program,
                f"--config-file={HERE / 'schemathesis.toml'}",
                "run",
                f"{gateway.admin_url}/openapi.json",
                f"--header=Authorization: Bearer {ADMIN_KEY}",
                "--exclude-method=HEAD",
                # Another process would be the one that answers.
                "--exclude-path=/upgrade",
                "--continue-on-failure",
                "--warnings=off",
                *RUNS[bank],
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert run.returncode == 0, run.stdout[-20_000:] + run.stderr
        # How many cases fit into the time is the machine's business: it has begun with each operation.
        selected, tested, tried = (int(re.search(what, run.stdout)[1]) for what in (r"Selected: (\d+)", r"Tested: (\d+)", r"(\d+) generated"))
        assert tested == selected > 50 and tried > 3 * selected, run.stdout
        api.call("get", "/access-keys")
        api.close()
        assert gateway.process.poll() is None
