"""The manifests: by Kubernetes' own schemas, and what no schema knows."""

from pathlib import Path
from typing import Any

import pytest
from support import dockerfile, tools
from support.command import CHECKOUT

from receiver.settings import Settings

FOLDER = CHECKOUT / "deploy" / "kubernetes"
FILES = sorted(FOLDER.glob("*.yaml"))
VERSIONS = ("1.30", "1.37")


@pytest.fixture(scope="module")
def objects() -> dict[tuple[str, str], Any]:
    """Every object by kind and name."""
    found = [document for file in FILES for document in tools.documents(file)]
    return {(one["kind"], one["metadata"]["name"]): one for one in found}


@pytest.fixture(scope="module")
def pods(objects: dict[tuple[str, str], Any]) -> dict[str, Any]:
    """The pod templates by the kind of what makes them."""
    cron = objects["CronJob", "receiver-maintain"]["spec"]["jobTemplate"]["spec"]["template"]
    stateful, job = objects["StatefulSet", "receiver"], objects["Job", "receiver-migrate"]
    return {"StatefulSet": stateful["spec"]["template"], "Job": job["spec"]["template"], "CronJob": cron}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_schema_takes_it(file: Path, version: str) -> None:
    tools.check("kubernetes-validate", "--strict", "--kubernetes-version", f"{version}.0", file)


@pytest.mark.parametrize("kind", ["StatefulSet", "Job", "CronJob"])
def test_every_pod_is_confined(pods: dict[str, Any], kind: str) -> None:
    spec = pods[kind]["spec"]
    (container,) = spec["containers"]
    user = dockerfile.only(dockerfile.stages()[-1], "USER").arguments.split(":")
    assert [spec["securityContext"][key] for key in ("runAsUser", "runAsGroup")] == [int(number) for number in user]
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not spec["automountServiceAccountToken"]
    assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize("kind", ["StatefulSet", "Job", "CronJob"])
def test_no_service_becomes_a_setting(pods: dict[str, Any], kind: str) -> None:
    """For the Service `receiver` the cluster would set RECEIVER_PORT to a URL."""
    assert pods[kind]["spec"]["enableServiceLinks"] is False


def test_all_pods_run_one_version(pods: dict[str, Any]) -> None:
    assert len({pod["spec"]["containers"][0]["image"] for pod in pods.values()}) == 1


def test_every_selector_finds_the_receivers_and_not_the_jobs(
    objects: dict[tuple[str, str], Any], pods: dict[str, Any]
) -> None:
    selectors = [
        objects["Service", "receiver"]["spec"]["selector"],
        objects["Service", "receiver-each"]["spec"]["selector"],
        objects["PodDisruptionBudget", "receiver"]["spec"]["selector"]["matchLabels"],
        objects["StatefulSet", "receiver"]["spec"]["selector"]["matchLabels"],
    ]
    labels = {kind: pod["metadata"]["labels"] for kind, pod in pods.items()}
    for selector in selectors:
        assert [kind for kind in labels if selector.items() <= labels[kind].items()] == ["StatefulSet"]
    everyone = objects["NetworkPolicy", "receiver"]["spec"]["podSelector"]["matchLabels"]
    assert all(everyone.items() <= one.items() for one in labels.values())


def test_the_listeners_are_where_the_probes_and_services_look(
    objects: dict[tuple[str, str], Any], pods: dict[str, Any]
) -> None:
    (container,) = pods["StatefulSet"]["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    settings = objects["ConfigMap", "receiver"]["data"]
    defaults = Settings(_env_file=None)
    assert ports == {"callback": int(settings["RECEIVER_PORT"]), "ops": defaults.ops_port}
    assert settings["RECEIVER_OPS_HOST"] == "0.0.0.0", "the kubelet asks at the pod's address"
    assert "RECEIVER_OPS_TOKEN" in objects["Secret", "receiver"]["stringData"]
    for probe in ("readinessProbe", "livenessProbe", "startupProbe"):
        assert container[probe]["httpGet"]["port"] == "ops"
    public = objects["Service", "receiver"]["spec"]
    assert [port["targetPort"] for port in public["ports"]] == ["callback"], "the ops listener is nobody else's"
    assert public["externalTrafficPolicy"] == "Local", "or the caller's address is a node's"


def test_a_pod_has_time_to_stop(objects: dict[tuple[str, str], Any], pods: dict[str, Any]) -> None:
    spec = pods["StatefulSet"]["spec"]
    delay_s = float(objects["ConfigMap", "receiver"]["data"]["RECEIVER_SHUTDOWN_DELAY_S"])
    defaults = Settings(_env_file=None)
    wanted = delay_s + defaults.drain_delay_s + 2 * defaults.shutdown_timeout_s
    assert spec["terminationGracePeriodSeconds"] > wanted + 5


def test_while_one_pod_is_replaced_two_others_receive(
    objects: dict[tuple[str, str], Any], pods: dict[str, Any]
) -> None:
    """And one that is going is known not to be ready before it stops listening."""
    spec = objects["StatefulSet", "receiver"]["spec"]
    assert spec["replicas"] - objects["PodDisruptionBudget", "receiver"]["spec"]["maxUnavailable"] >= 2
    assert spec["updateStrategy"] == {"type": "RollingUpdate"}, (
        "of a StatefulSet: one at a time, once the last is ready"
    )
    probe = pods["StatefulSet"]["spec"]["containers"][0]["readinessProbe"]
    asked_s = probe["periodSeconds"] * probe["failureThreshold"] + probe["timeoutSeconds"]
    delay_s = float(objects["ConfigMap", "receiver"]["data"]["RECEIVER_SHUTDOWN_DELAY_S"])
    assert delay_s > asked_s
    assert spec["minReadySeconds"] >= asked_s


def test_the_spool_is_on_a_volume_that_stays(objects: dict[tuple[str, str], Any], pods: dict[str, Any]) -> None:
    spec = objects["StatefulSet", "receiver"]["spec"]
    assert set(spec["persistentVolumeClaimRetentionPolicy"].values()) == {"Retain"}
    (claim,) = spec["volumeClaimTemplates"]
    mounts = {
        mount["name"]: mount["mountPath"] for mount in pods["StatefulSet"]["spec"]["containers"][0]["volumeMounts"]
    }
    environ = dockerfile.environment(dockerfile.stages()[-1], Path())
    assert mounts[claim["metadata"]["name"]] == "/" + environ["RECEIVER_DATA_DIR"].lstrip("./")
