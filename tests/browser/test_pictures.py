"""The pictures of the README, of what `conf/demo.yaml` and `tollgate demo traffic` show. With TOLLGATE_SCREENSHOTS only."""

import os
import pathlib
import subprocess
import time

import pytest

import gateways

ROOT = pathlib.Path(__file__).resolve().parents[2]
KEY = "tga-demo-g1-DemoDemoDemoDemoDemoDemoDemoDemo"


@pytest.mark.skipif("TOLLGATE_SCREENSHOTS" not in os.environ, reason="nobody wants to see them")
def test_the_console_as_the_readme_shows_it(visit, tmp_path, pictures):
    text = (ROOT / "conf/demo.yaml").read_text()
    urls = {}
    for port in ("8080", "9090", "8089"):
        urls[port] = f"127.0.0.1:{gateways.free_port()}"
        text = text.replace(f"127.0.0.1:{port}", urls[port])
    (tmp_path / "demo.yaml").write_text(text)
    with open(tmp_path / "log", "wb") as log:
        gateway = subprocess.Popen([gateways.binary(), "run", "--config", "demo.yaml"], cwd=tmp_path, stdout=log, stderr=log)
    try:
        end = time.monotonic() + 20
        while subprocess.run([gateways.binary(), "health", "--ready", "--config", "demo.yaml"], cwd=tmp_path).returncode:
            assert time.monotonic() < end, (tmp_path / "log").read_text()
            time.sleep(0.1)
        subprocess.run([gateways.binary(), "demo", "traffic", "--requests", "300", "--url", f"http://{urls['8080']}"], check=True)
        there = type("There", (), {"admin_url": f"http://{urls['9090']}"})
        page = visit(there, KEY, viewport={"width": 1200, "height": 760})
        page.goto("/console/requests?model=echo&provider=south")
        page.get_by_role("row").nth(12).wait_for()
        pictures(page, "readme-requests", full_page=False)
        row = page.get_by_role("row").filter(has=page.get_by_role("cell", name="2", exact=True)).first
        row.get_by_role("link").first.click()
        page.get_by_role("heading", level=1, name="Request").wait_for()
        pictures(page, "readme-request", full_page=False)
    finally:
        gateway.terminate()
        gateway.wait()
