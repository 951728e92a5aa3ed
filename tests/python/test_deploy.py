"""The dashboard and the alerts in deploy/ name metrics that there are, and the alerts fire."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import time
import urllib.request

import pytest

import gateways

ROOT = pathlib.Path(__file__).resolve().parents[2]
RULES = ROOT / "deploy/prometheus/rules.yml"
DASHBOARD = ROOT / "deploy/grafana/tollgate.json"

# What Prometheus itself adds.
TARGET = {"instance", "job", "le"}
OTHERS = {"up": set(), "ALERTS": {"alertname", "alertstate"}}
FUNCTIONS = {
    "sum", "max", "min", "count", "avg", "by", "without", "rate", "increase", "delta", "changes", "abs", "time", "or", "and", "on",
    "histogram_quantile", "label_values", "s", "m", "h", "d",
}  # fmt: skip


def declared():
    """Metrics as the source declares them: their labels by their names."""
    found = {}
    for file in ("families.rs", "ledger.rs"):
        text = (ROOT / "src/metrics" / file).read_text()
        pattern = r'(?:make\.|: )(\w+)\(\s*"([a-z_]+)",\s*"(?:[^"\\]|\\.)*",?\s*(?:&\[([^\]]*)\]|&(ROUTE))?'
        for kind, name, labels, route in re.findall(pattern, text):
            names = {"provider", "surface", "model"} if route else set(re.findall(r"[a-z_]+", labels))
            suffixes = ["_bucket", "_sum", "_count"] if kind.startswith("histogram") else [""]
            for suffix in suffixes:
                found[f"tollgate_{name}{suffix}"] = names
    assert len(found) > 30, "the metrics were found in the source"
    return found


def shown(gateway):
    """Metrics as the running gateway shows them: their labels by their names."""
    if gateway.admin_url is None:
        pytest.skip("needs the admin listener")
    with urllib.request.urlopen(f"{gateway.admin_url}/metrics", timeout=20) as answer:
        lines = answer.read().decode().splitlines()
    found = {}
    for line in lines:
        if line and not line.startswith("#"):
            name, labels = re.match(r"([a-z_]+)(?:\{(.*)\})? ", line).groups()
            found.setdefault(name, set()).update(re.findall(r"([a-z_]+)=\"", labels or ""))
    return found


def expressions():
    """Every expression of the dashboard and the rules, and where it is."""
    dashboard = json.loads(DASHBOARD.read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["name"], variable["query"]
    for alert, expression in re.findall(r"- alert: (\w+)\n\s+expr: >-\n\s+(.*)\n", RULES.read_text()):
        yield alert, expression


def named(expression):
    """The metrics, the labels that are asked of each, and the values that are compared."""
    text = expression.replace("$__rate_interval", "5m")
    texts = re.findall(r'"([^"]*)"', text)
    selected = re.findall(r"\b([a-z_]+)\s*\{([^}]*)\}", text)
    matchers = [(name, re.findall(r"([a-z_]+)\s*(?:=~|!~|!=|=)", inside)) for name, inside in selected]
    values = re.findall(r'([a-z_]+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"', text)
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^\]]*\]', " ", text)
    grouped = [label for inside in re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", bare) for label in re.findall(r"\w+", inside)]
    without = re.sub(r"\b(?:by|on)\s*\([^)]*\)", " ", bare)
    asked = re.findall(r"label_values\(\s*(\w+),\s*(\w+)\)", text)
    words = set(re.findall(r"[a-zA-Z_][a-zA-Z0-9_]*", without)) - FUNCTIONS - {label for _, label in asked}
    assert texts is not None
    return words, matchers, grouped + [label for _, label in asked], values


def test_the_dashboard_and_the_alerts_name_what_there_is(gateway, client):
    client.chat.completions.create(model="demo:echo", messages=[{"role": "user", "content": "Hello"}])
    source, running = declared(), shown(gateway)
    # What no request has touched yet has no line; what has one has the labels that the source says.
    for name, labels in running.items():
        if name in source:
            assert labels - {"le"} == source[name], f"{name} has the labels that its line declares"
    known = {**{name: labels for name, labels in running.items() if name.startswith("process_")}, **source, **OTHERS}
    code = "\n".join(path.read_text() for path in (ROOT / "src").rglob("*.rs"))
    count = 0
    for where, expression in expressions():
        words, matchers, grouped, values = named(expression)
        count += 1
        assert words, f"{where}: {expression}"
        for word in words:
            assert word in known, f"{where}: there is no metric {word}"
        for name, labels in matchers:
            assert set(labels) <= known[name] | TARGET, f"{where}: {name} has not all of {labels}"
        labels = set().union(*(known[word] for word in words)) | TARGET
        assert set(grouped) <= labels, f"{where}: not all of {grouped} are labels of {words}"
        for label, value in values:
            for one in value.split("|"):
                told = label in TARGET or one.startswith("$") or f'"{one}"' in code
                assert told or re.fullmatch(r"http_\d{3}", one), f"{where}: nothing says {label}={one!r}"
    assert count > 60, "the expressions were found"


def test_every_alert_says_what_to_do():
    alerts = RULES.read_text().split("- alert: ")[1:]
    assert len(alerts) >= 20
    tested = set(re.findall(r'ALERTS\{alertname="(\w+)"', (RULES.parent / "rules.test.yml").read_text()))
    for alert in alerts:
        name = alert.split()[0]
        assert re.search(r"summary: .{20,}", alert), name
        assert re.search(r"runbook: >-\n\s+.{30,}", alert), f"{name} says what to do"
        assert re.search(r"severity: (critical|warning)", alert), name
        assert name in tested, f"{name} is fired in rules.test.yml"


def test_the_alerts_fire():
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("needs promtool (Debian: prometheus)")
    for command in (["check", "config", "prometheus.yml"], ["check", "rules", "rules.yml"], ["test", "rules", "rules.test.yml"]):
        done = subprocess.run([promtool, *command], cwd=RULES.parent, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_dashboard_can_be_provisioned():
    dashboard = json.loads(DASHBOARD.read_text())
    rows = [panel["title"] for panel in dashboard["panels"] if panel["type"] == "row"]
    assert rows == ["Fleet", "Provider health", "Latency", "Tokens and cost", "Providers' prompt caches", "Ledger", "Limits"]
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))
    taken = set()
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24 and not cells & taken, f"{panel['title']} overlaps"
        taken |= cells


def test_the_image_holds_all_that_the_program_needs(tmp_path):
    """What `.ci/image` lays out runs by itself, as nobody: a chroot is as far as one comes without docker."""
    binary = os.environ.get("TOLLGATE_BIN")
    if binary is None or os.geteuid() != 0 or shutil.which("chroot") is None or shutil.which("ldd") is None:
        pytest.skip("needs TOLLGATE_BIN, root, chroot and ldd")
    root = tmp_path / "root"
    subprocess.run([ROOT / ".ci/image", root, binary], check=True, timeout=60)
    os.chown(root / "var/lib/tollgate", 10001, 10001)
    proxy, admin, demo = (gateways.free_port() for _ in range(3))
    configuration = {
        "proxy": {"listen": [f"127.0.0.1:{proxy}"]},
        "admin": {"listen": f"127.0.0.1:{admin}"},
        "demo": {"listen": f"127.0.0.1:{demo}"},
        "ledger": {"sqlite": {"path": "/var/lib/tollgate/tollgate.db"}, "journal": "/var/lib/tollgate/journal"},
    }
    (root / "etc/tollgate/tollgate.yaml").write_text(json.dumps(configuration))
    inside = [shutil.which("chroot"), "--userspec=10001:10001", root, "/usr/local/bin/tollgate"]
    environment = {"TOLLGATE_CONFIG": "/etc/tollgate/tollgate.yaml"}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([*inside, "run"], stdout=log, stderr=log, env=environment)
    try:
        end = time.monotonic() + 20
        while subprocess.run([*inside, "health"], env=environment, capture_output=True, timeout=20).returncode != 0:
            assert process.poll() is None and time.monotonic() < end, (tmp_path / "log").read_text()
            time.sleep(0.1)
    finally:
        process.terminate()
        process.wait(20)
    said = (tmp_path / "log").read_text()
    assert "no certificate authorities" not in said and "panicked" not in said, said
