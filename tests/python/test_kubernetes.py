"""The chart, the kustomize base and the compose files: linted, rendered, checked against Kubernetes' schemas, and their
configurations against the real binary.

What is not here is skipped by name: Helm's SDK, Kubernetes' schemas, kubectl. No cluster is needed, and none is asked.
"""

import os
import pathlib
import re
import shutil
import subprocess

import pytest

yaml = pytest.importorskip("yaml")

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy/helm/tollgate"
BASE = ROOT / "deploy/kustomize/base"

# Everything that can be switched on.
FLEET = {
    "replicas": 3,
    "existingSecrets": ["tollgate"],
    "redis": {
        "url": "rediss://redis.example.com:6379",
        "username": "tollgate",
        "passwordSecret": {"name": "redis", "key": "password"},
    },
    "drainSeconds": 3600,
    "leaveSeconds": 15,
    "autoscaling": {"enabled": True},
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}, "bearerTokenSecret": {"name": "metrics"}},
    "networkPolicy": {"proxyFrom": [{"namespaceSelector": {}}], "egress": [{"ports": [{"port": 8000}]}]},
    "tolerations": [{"key": "models", "operator": "Exists"}],
    "nodeSelector": {"pool": "gateways"},
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {}}
    ],
    "priorityClassName": "high",
    "podAnnotations": {"example.com/a": "b"},
    "podLabels": {"team": "models"},
    "image": {"repository": "registry.example.com/tollgate", "tag": "1"},
    "imagePullSecrets": [{"name": "registry"}],
    "journal": {"storageClass": "fast", "size": "50Gi"},
    "service": {"type": "LoadBalancer", "annotations": {"example.com/lb": "internal"}},
    "serviceAccount": {"annotations": {"example.com/role": "gateway"}},
    "extraVolumes": [{"name": "tls", "secret": {"secretName": "tls"}}],
    "extraVolumeMounts": [{"name": "tls", "mountPath": "/etc/tls", "readOnly": True}],
}


def rendered(values):
    helm = pytest.importorskip("helm_python", reason="needs Helm's SDK (pip: helm-python-sdk)")
    with helm.Chart.load(str(CHART)) as chart:
        files = chart.render(values, name="tollgate", namespace="gateways")
    texts = [text for name, text in files.items() if name.endswith(".yaml")]
    return [document for text in texts for document in yaml.safe_load_all(text) if document]


def kustomized():
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("needs kubectl")
    done = subprocess.run([kubectl, "kustomize", str(BASE)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def one(documents, kind, name=None):
    found = [doc for doc in documents if doc["kind"] == kind and name in (None, doc["metadata"]["name"])]
    assert len(found) == 1, f"one {kind}"
    return found[0]


def assert_known_to_kubernetes(documents):
    validate = pytest.importorskip("kubernetes_validate", reason="needs Kubernetes' schemas (pip: kubernetes-validate)")
    for document in documents:
        # A custom resource has its schema in the cluster.
        if document["kind"] != "ServiceMonitor":
            validate.validate(document, "1.31", strict=True)


def assert_valid(configuration, tmp_path):
    """The configuration is one that the binary takes."""
    binary = os.environ.get("TOLLGATE_BIN")
    if binary is None:
        pytest.skip("needs TOLLGATE_BIN")
    file = tmp_path / "tollgate.yaml"
    file.write_text(configuration)
    environment = {**os.environ, "TOLLGATE_REDIS_PASSWORD": "x"}
    command = [binary, "check", "--config", str(file)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def assert_hard(pod):
    """A pod that is nobody, writes nowhere but on its volume, and is given the time that it needs."""
    assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert container["readinessProbe"]["failureThreshold"] == 1
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
    assert "subPath" not in mounts["config"], "a changed configuration is seen"
    assert mounts["journal"]["mountPath"] == "/var/lib/tollgate"


def assert_selected(documents):
    """Whoever selects pods selects those that there are."""
    labels = one(documents, "StatefulSet")["spec"]["template"]["metadata"]["labels"].items()
    selecting = [one(documents, kind)["spec"] for kind in ("PodDisruptionBudget", "NetworkPolicy", "StatefulSet")]
    selectors = [spec.get("selector", spec.get("podSelector"))["matchLabels"] for spec in selecting]
    selectors += [doc["spec"]["selector"] for doc in documents if doc["kind"] == "Service"]
    for selector in selectors:
        assert selector and selector.items() <= labels, f"{selector} selects the pods"


def seconds(span):
    assert span.endswith("s")
    return int(span[:-1])


def assert_time_enough(pod, configuration):
    drain = seconds(yaml.safe_load(configuration)["proxy"]["drain"])
    leave = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod["terminationGracePeriodSeconds"] >= leave + drain + 15, "the drain fits into the grace period"


def test_the_chart_is_linted():
    helm = pytest.importorskip("helm_python", reason="needs Helm's SDK (pip: helm-python-sdk)")
    found = helm.lint(str(CHART))
    # 1 is information, 2 a warning, 3 an error.
    assert not found["errors"] and all(message["severity"] < 2 for message in found["messages"]), found


@pytest.mark.parametrize("values", [{}, FLEET], ids=["defaults", "everything"])
def test_the_chart_makes_pods_that_end_well(values, tmp_path):
    documents = rendered(values)
    assert_known_to_kubernetes(documents)
    pods = one(documents, "StatefulSet")
    pod = pods["spec"]["template"]["spec"]
    configuration = one(documents, "ConfigMap")["data"]["tollgate.yaml"]
    assert_hard(pod)
    assert_time_enough(pod, configuration)
    assert pods["spec"]["volumeClaimTemplates"][0]["metadata"]["name"] == "journal"
    assert_selected(documents)
    assert_valid(configuration, tmp_path)


def test_a_fleet_is_scaled_watched_and_shares_its_redis():
    documents = rendered(FLEET)
    scaled = one(documents, "HorizontalPodAutoscaler")["spec"]
    names = {metric["type"]: metric for metric in scaled["metrics"]}
    assert names["Pods"]["pods"]["metric"]["name"] == "tollgate_requests_in_flight" and "Resource" in names
    assert "replicas" not in one(documents, "StatefulSet")["spec"], "the autoscaler decides"
    monitor = one(documents, "ServiceMonitor")["spec"]
    admin = one(documents, "Service", "tollgate-admin")
    assert monitor["selector"]["matchLabels"].items() <= admin["metadata"]["labels"].items()
    assert monitor["endpoints"][0]["port"] in [port["name"] for port in admin["spec"]["ports"]]
    assert admin["metadata"]["labels"][monitor["jobLabel"]] == "tollgate", "the alerts ask for this job"
    ledger = yaml.safe_load(one(documents, "ConfigMap")["data"]["tollgate.yaml"])["ledger"]
    assert (ledger["bank"], ledger["redis"]["password"]) == ("redis", "${TOLLGATE_REDIS_PASSWORD}")
    container = one(documents, "StatefulSet")["spec"]["template"]["spec"]["containers"][0]
    assert container["env"][0]["valueFrom"]["secretKeyRef"] == {"name": "redis", "key": "password"}
    assert container["envFrom"] == [{"secretRef": {"name": "tollgate"}}]
    allowed = [port["port"] for rule in one(documents, "NetworkPolicy")["spec"]["egress"] for port in rule["ports"]]
    assert {53, 443, 6379, 8000} <= set(allowed)


def test_gateways_without_a_redis_that_they_share_are_refused():
    for values in ({"replicas": 2}, {"autoscaling": {"enabled": True}}):
        with pytest.raises(Exception, match="set redis.url"):
            rendered(values)


def test_probes_and_metrics_go_by_tls_where_the_admin_listener_does():
    tls = {"admin": {"tls": {"cert": "/etc/tls/tls.crt", "key": "/etc/tls/tls.key"}}}
    documents = rendered({"config": tls, "serviceMonitor": {"enabled": True, "tlsConfig": {"serverName": "gate"}}})
    assert_known_to_kubernetes(documents)
    container = one(documents, "StatefulSet")["spec"]["template"]["spec"]["containers"][0]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["scheme"] == "HTTPS"
    (endpoint,) = one(documents, "ServiceMonitor")["spec"]["endpoints"]
    assert (endpoint["scheme"], endpoint["tlsConfig"]) == ("https", {"serverName": "gate"})


def test_the_kustomize_base_is_what_the_chart_makes(tmp_path):
    base = kustomized()
    assert_known_to_kubernetes(base)
    assert_selected(base)
    pods = one(base, "StatefulSet")
    pod = pods["spec"]["template"]["spec"]
    configuration = one(base, "ConfigMap")["data"]["tollgate.yaml"]
    assert_hard(pod)
    assert_time_enough(pod, configuration)
    assert_valid(configuration, tmp_path)
    # The Secret's name is a value of the chart, and part of the base.
    chart = one(rendered({}), "StatefulSet")["spec"]["template"]["spec"]
    pod["containers"][0].pop("envFrom")
    chart.pop("topologySpreadConstraints")
    pod.pop("topologySpreadConstraints")
    assert pod == chart


@pytest.mark.parametrize("file", ["compose.yaml", "fleet/compose.yaml"])
def test_compose_files_mount_what_there_is(file, tmp_path):
    path = ROOT / "deploy" / file
    services = yaml.safe_load(path.read_text())["services"]
    volumes = yaml.safe_load(path.read_text())["volumes"]
    for name, service in services.items():
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            there = (path.parent / source).resolve().exists() if source.startswith(".") else source in volumes
            assert there, f"{name} mounts {source}"
    gateways = [service for service in services.values() if service["image"] == "tollgate"]
    for gateway in gateways:
        assert gateway["read_only"] and gateway["cap_drop"] == ["ALL"] and gateway["stop_grace_period"] == "11m"
    assert any("build" in gateway for gateway in gateways)
    configuration = path.parent / ("tollgate.yaml" if "fleet" in file else "etc/tollgate.yaml")
    assert_valid(configuration.read_text(), tmp_path)
    if "redis" in services:
        command = services["redis"]["command"]
        assert command[command.index("--appendonly") + 1] == "yes"
        assert command[command.index("--maxmemory-policy") + 1] == "noeviction"


def test_the_fleet_has_all_that_its_parts_call():
    fleet = ROOT / "deploy/fleet"
    services = yaml.safe_load((fleet / "compose.yaml").read_text())["services"]
    assert sum(service["image"] == "tollgate" for service in services.values()) == 2
    called = [
        *re.findall(r"//([a-z-]+):(\d+)", (fleet / "tollgate.yaml").read_text()),
        *re.findall(r"//([a-z-]+):(\d+)", (fleet / "collector.yaml").read_text()),
        *re.findall(r'"([a-z-]+):(\d+)"', (fleet / "prometheus.yml").read_text()),
        *re.findall(r"//([a-z-]+):(\d+)", (ROOT / "deploy/grafana/provisioning/datasources/prometheus.yml").read_text()),
    ]
    names = {name for name, _ in called}
    assert names <= set(services), f"{names - set(services)} are no services"
    assert {"redis", "collector", "jaeger", "prometheus", "gateway-a", "gateway-b"} <= names
    collector = yaml.safe_load((fleet / "collector.yaml").read_text())
    for name, pipeline in collector["service"]["pipelines"].items():
        for kind in ("receivers", "processors", "exporters"):
            assert set(pipeline[kind]) <= set(collector[kind]), f"{name} has {kind} that there are"
    ports = {protocol["endpoint"].rsplit(":")[-1] for protocol in collector["receivers"]["otlp"]["protocols"].values()}
    assert {port for name, port in called if name == "collector"} <= ports
    assert "--web.enable-otlp-receiver" in services["prometheus"]["command"], "it takes what the collector exports"
