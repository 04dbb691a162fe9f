"""The chart renders what Kubernetes takes, and each process in it is told what the code understands.

`make chart` runs this: it needs helm, which is built from its module, and so it is not among the tests of `make test`.
"""

import kubernetes_validate
import pytest
import typer.main
import yaml

from keeprate.deploy.commands.tree import app
from keeprate.deploy.doctor import surroundings
from tests.chart.rendering import ALL, LEAST, MEANINGLESS, ROOT, pods, rendered, template, with_engines


@pytest.mark.parametrize("version", ["1.27", "1.31", "1.37"])
def test_kubernetes_takes_every_object(version: str) -> None:
    """By the strict schema of its version: no field is misspelled, none has another type."""
    objects = rendered(ALL, kubernetes=f"{version}.0")
    own = [
        each
        for each in objects
        if "monitoring.coreos.com" not in each["apiVersion"] and "keda" not in each["apiVersion"]
    ]
    assert len(own) > 15
    for each in own:
        kubernetes_validate.validate(each, version, strict=True)


@pytest.mark.parametrize("name", ["worker", "sink", "monitor", "page", "collector", "topics", "migrate"])
def test_each_process_is_told_what_it_understands(name: str) -> None:
    """Its command and options exist, and every variable is one that is read."""
    (container,) = pods(rendered(ALL))[f"x-{name}"]["containers"]
    command, *arguments = container["args"]
    typer.main.get_command(app).commands[command].make_context(command, arguments)  # type: ignore[attr-defined]
    environ = {each["name"]: "x" for each in container["env"]}
    assert [each.said for each in surroundings.check(environ) if each.state != "ok"] == []
    # What a variable says is in a file is mounted there.
    files = {each["value"] for each in container["env"] if each["name"].endswith("_FILE")}
    (secrets,) = (each for each in pods(rendered(ALL))[f"x-{name}"]["volumes"] if each["name"] == "secrets")
    paths = {item["path"] for source in secrets["projected"]["sources"] for item in source["secret"]["items"]}
    assert files <= {f"/run/secrets/keeprate/{path}" for path in paths}


def test_what_is_asked_for_health_is_what_the_process_serves() -> None:
    """A probe's port is one that the container names, and the one that its arguments say."""
    for name, pod in pods(rendered(ALL)).items():
        (container,) = pod["containers"]
        named = {port["name"]: port["containerPort"] for port in container.get("ports") or ()}
        probes = [
            container[probe] for probe in ("startupProbe", "livenessProbe", "readinessProbe") if probe in container
        ]
        assert (len(probes) == 3) == (name not in ("x-topics", "x-migrate"))
        assert all(probe["httpGet"]["port"] in named for probe in probes)
        if "--metrics-port" in container["args"]:
            assert int(container["args"][container["args"].index("--metrics-port") + 1]) == named["metrics"]


def test_no_process_may_more_than_it_needs() -> None:
    """Not root, no privilege, nothing to write to but its own directories, no token of the cluster."""
    for pod in pods(rendered(ALL)).values():
        (container,) = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert (pod["automountServiceAccountToken"], pod["enableServiceLinks"]) == (False, False)


def test_topics_and_tables_are_there_before_what_needs_them() -> None:
    """Before an install that waits, and with nothing that the install itself makes."""
    jobs = [each for each in rendered(LEAST) if each["kind"] == "Job"]
    hooks = [each["metadata"]["annotations"] for each in jobs]
    assert [each["helm.sh/hook"] for each in hooks] == ["pre-install,pre-upgrade"] * 2
    assert [each["helm.sh/hook-weight"] for each in hooks] == ["0", "1"]
    assert all("serviceAccountName" not in each["spec"]["template"]["spec"] for each in jobs)


def test_workers_keep_their_names_and_their_disks() -> None:
    """Static membership goes by the pod's name, which a StatefulSet keeps."""
    (worker,) = (each for each in rendered(LEAST) if each["kind"] == "StatefulSet")
    (container,) = worker["spec"]["template"]["spec"]["containers"]
    assert {"name": "KEEPRATE_WORKER_INSTANCE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}} in container[
        "env"
    ]
    assert worker["spec"]["volumeClaimTemplates"][0]["metadata"]["name"] == "data"


def test_the_network_is_closed_but_for_what_is_needed() -> None:
    """Out to the brokers' ports, the store's and DNS; in to what is served and scraped."""
    policies = {each["metadata"]["name"]: each["spec"] for each in rendered(LEAST) if each["kind"] == "NetworkPolicy"}
    assert policies["x"]["policyTypes"] == ["Ingress", "Egress"]
    out = {port["port"] for rule in policies["x"]["egress"] for port in rule["ports"]}
    assert out == {53, 9093, 9094, 8443}
    assert {port["port"] for rule in policies["x-served"]["ingress"] for port in rule["ports"]} == {4318, 8770}


def test_rules_are_those_that_promtool_tests() -> None:
    """Every one, with links that lead to this installation's runbook; dashboards as they are in the repository."""
    objects = rendered(ALL)
    (rule,) = (each for each in objects if each["kind"] == "PrometheusRule")
    text = (ROOT / "deploy" / "prometheus" / "rules.yml").read_text("utf-8")
    assert rule["spec"] == yaml.safe_load(text.replace("http://127.0.0.1:8770/runbook", "https://runbook"))
    scrapes = [each["spec"]["podMetricsEndpoints"][0] for each in objects if each["kind"] == "PodMonitor"]
    jobs = {each["relabelings"][0]["replacement"] for each in scrapes}
    scraped = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text("utf-8"))["scrape_configs"]
    assert jobs == {each["job_name"] for each in scraped} - {"apps"}
    boards = {name: text for each in objects if each["kind"] == "ConfigMap" for name, text in each["data"].items()}
    folder = ROOT / "deploy" / "grafana" / "dashboards"
    assert boards == {path.name: path.read_text("utf-8") for path in folder.glob("*.json")}


def test_scaling_goes_by_seconds_and_never_beyond_the_partitions() -> None:
    """Who is beyond them has nothing to do, and each change is a rebalance."""
    scaled = {each["metadata"]["name"]: each["spec"] for each in rendered(ALL) if each["kind"] == "ScaledObject"}
    assert set(scaled) == {"x-worker", "x-sink"}
    assert all("seconds" in each["triggers"][0]["metadata"]["query"] for each in scaled.values())
    assert all("replicas" not in each["spec"] for each in rendered(ALL) if each["kind"] == "StatefulSet")
    run = template(ALL | {"scaling.maxReplicas": "13"})
    assert run.returncode != 0
    assert "more than the 12 partitions" in run.stderr


@pytest.mark.parametrize(
    ("values", "named"),
    [
        *MEANINGLESS,
        ({"kafka.brokers": ""}, "set it to HOST:PORT"),
        ({"secrets.existing": ""}, "name a Secret"),
        ({"kafka.mode": "strimzi"}, "install the Strimzi operator"),
        ({"store.mode": "altinity"}, "install the Altinity operator"),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused(values: dict[str, str], named: str) -> None:
    """Before anything is made, with what to do."""
    run = template(LEAST | values)
    assert run.returncode != 0
    assert named in run.stderr


def test_operators_make_the_engines_where_they_are_asked_to() -> None:
    """And processes find them by their names."""
    objects = with_engines()
    assert {"Kafka", "KafkaNodePool", "KafkaUser", "ClickHouseInstallation"} <= {each["kind"] for each in objects}
    (container,) = pods(objects)["x-sink"]["containers"]
    told = {each["name"]: each.get("value") for each in container["env"]}
    assert told["KEEPRATE_BROKERS"] == "x-kafka-bootstrap:9093"
    assert told["KEEPRATE_KAFKA_CA_FILE"] == "/run/secrets/keeprate/kafka-ca.pem"
    assert told["KEEPRATE_STORE_URL"] == "http://clickhouse-x:8123/keeprate"


@pytest.mark.parametrize("served", ["v1", "v1beta2"])
def test_strimzi_is_spoken_to_in_a_version_that_it_serves(served: str) -> None:
    """From 1.0 on it serves v1 alone; before 0.49 there was no v1."""
    objects = with_engines(f"kafka.strimzi.io/{served}", "clickhouse.altinity.com/v1")
    versions = {each["apiVersion"] for each in objects if each["kind"].startswith("Kafka")}
    assert versions == {f"kafka.strimzi.io/{served}"}


def test_strimzi_makes_the_user_that_processes_log_in_as() -> None:
    """Its user operator does, which runs only where a Kafka asks for it."""
    objects = {each["kind"]: each for each in with_engines()}
    assert objects["Kafka"]["spec"]["entityOperator"] == {"userOperator": {}}
    name = objects["KafkaUser"]["metadata"]["name"]
    (sink,) = pods([each for each in with_engines() if each["metadata"]["name"] == "x-sink"]).values()
    sources = next(each for each in sink["volumes"] if each["name"] == "secrets")["projected"]["sources"]
    assert {"name": name, "items": [{"key": "password", "path": "kafka-password"}]} in [
        each["secret"] for each in sources
    ]
