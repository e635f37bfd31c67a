"""Pod security, and names that fit together, in all overlays and components; the policy sees what is wrong."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from tests.deploy.manifests import (
    KUBERNETES,
    OVERLAYS,
    ROOT,
    Document,
    documents,
    environment,
    of_kind,
    overlay,
    workloads,
)
from tests.deploy.policy import violations
from tests.deploy.test_overlays import validate
from worker.cli import moderate
from worker.commands.options import setting_variables
from worker.serving.server import _END_SECONDS
from worker.settings import load_settings
from worker.telemetry.metrics import METRICS

DOCUMENTED = (ROOT / "deploy" / "README.md").read_text(encoding="utf-8")
COMPONENTS = {
    "topics": "cpu",
    "doctor": "cpu",
    "audit": "cpu",
    "models": "cpu",
    "policies": "cpu",
    "secured-kafka": "cpu",
    "pod-monitor": "cpu",
    "secured-kafka-keda": "keda",
    "keda-settings": "keda",
    "serve": "cpu",
}


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_overlay_keeps_to_the_policy(name: str) -> None:
    """Nothing is wrong with any overlay."""
    assert violations(overlay(name), DOCUMENTED) == []


@pytest.mark.parametrize(("component", "base"), COMPONENTS.items())
def test_every_component_fits(component: str, base: str, tmp_path: Path) -> None:
    """An overlay with a component is built, valid, and keeps to the policy."""
    wanted = ["secured-kafka", component] if component == "secured-kafka-keda" else [component]
    said = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [os.path.relpath(KUBERNETES / "overlays" / base, tmp_path.resolve())],
        "components": [os.path.relpath(KUBERNETES / "components" / name, tmp_path.resolve()) for name in wanted],
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(said), encoding="utf-8")
    built = documents(tmp_path)
    for document in built:
        validate(document)
    assert violations(built, DOCUMENTED) == []
    for container in (container for workload in workloads(built) for container in workload.containers):
        assert CliRunner().invoke(moderate, [*container["args"], "--help"]).exit_code == 0, container["args"]
    # What copies settings has nothing to copy here: the overlay that the guide shows has.
    assert built != overlay(base) or component == "keda-settings"


def test_the_overlay_of_ones_own_that_the_guide_shows(tmp_path: Path) -> None:
    """It is built, keeps to the policy, and its broker's address reaches the workers and KEDA."""
    shown = re.findall(r"```yaml\n(.*?)```", DOCUMENTED, re.DOTALL)
    (text,) = (text for text in shown if "kind: Kustomization" in text)
    text = text.replace("../../deploy", os.path.relpath(ROOT / "deploy", tmp_path.resolve()))
    (tmp_path / "kustomization.yaml").write_text(text, encoding="utf-8")
    built = documents(tmp_path)
    for document in built:
        validate(document)
    assert violations(built, DOCUMENTED) == []
    assert _metadata(built)["bootstrapServers"] == "kafka-bootstrap.kafka:9093"
    assert _container(built)["image"] == "registry.example/moderation:0.2.0-cpu"
    assert {document["metadata"]["namespace"] for document in built} == {"moderation"}


def test_servers_share_the_workers_settings_and_scale_by_what_waits(
    tmp_path: Path, bare_environment: pytest.MonkeyPatch
) -> None:
    """They are valid beside models and a secured broker, ask for keys, and end within their grace period."""
    wanted = ("serve", "models", "policies", "secured-kafka", "pod-monitor")
    said = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [os.path.relpath(KUBERNETES / "overlays" / "cpu", tmp_path.resolve())],
        "components": [os.path.relpath(KUBERNETES / "components" / name, tmp_path.resolve()) for name in wanted],
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(said), encoding="utf-8")
    built = documents(tmp_path)
    assert violations(built, DOCUMENTED) == []
    (server,) = (one for one in workloads(built) if one.document["kind"] == "Deployment")
    (container,) = server.containers
    mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounts >= {"/keys", "/models", "/policies", "/kafka"}
    for name, value in environment(container, built).items():
        if name.startswith("MODERATE_"):
            assert name in setting_variables()
            bare_environment.setenv(name, value)
    serve = load_settings().serve
    assert serve.host == "0.0.0.0"  # noqa: S104 - the pod's own
    assert str(serve.keys_file).startswith("/keys/")
    assert container["ports"][0]["containerPort"] == serve.port
    sleep = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    worst = sleep + 2 * serve.drain_seconds + _END_SECONDS
    assert worst <= server.pod["terminationGracePeriodSeconds"] <= 2 * worst
    (scaler,) = of_kind(built, "HorizontalPodAutoscaler")
    assert scaler["spec"]["scaleTargetRef"]["name"] == server.document["metadata"]["name"]
    assert "replicas" not in server.document["spec"]
    metrics = {row.name for row in METRICS}
    assert {one["pods"]["metric"]["name"] for one in scaler["spec"]["metrics"] if "pods" in one} <= metrics
    for kind in ("PodDisruptionBudget", "Service"):
        names = [one["metadata"]["name"] for one in of_kind(built, kind)]
        assert sorted(names) == ["moderation-serve", "moderation-worker"]
    assert CliRunner().invoke(moderate, [*container["args"], "--help"]).exit_code == 0


def test_components_are_all_tested() -> None:
    """No component is left out of these tests."""
    assert {path.name for path in (KUBERNETES / "components").iterdir()} == set(COMPONENTS)


def _pod(built: list[Document]) -> Document:
    (stateful_set,) = of_kind(built, "StatefulSet")
    pod: Document = stateful_set["spec"]["template"]["spec"]
    return pod


def _container(built: list[Document]) -> Document:
    container: Document = _pod(built)["containers"][0]
    return container


def _metadata(built: list[Document]) -> dict[str, str]:
    (scaled,) = of_kind(built, "ScaledObject")
    metadata: dict[str, str] = scaled["spec"]["triggers"][0]["metadata"]
    return metadata


def _spec(built: list[Document], kind: str) -> Document:
    (document,) = of_kind(built, kind)
    spec: Document = document["spec"]
    return spec


def _environment(built: list[Document], name: str) -> Document:
    return next(entry for entry in _container(built)["env"] if entry["name"] == name)


def _drop(built: list[Document], kind: str) -> None:
    built[:] = [document for document in built if document["kind"] != kind]


Wrong = Callable[[list[Document]], object]
WRONGS: dict[str, tuple[Wrong, str]] = {
    "root": (lambda b: _pod(b)["securityContext"].update(runAsNonRoot=False), "may run as root"),
    "user 0": (lambda b: _pod(b)["securityContext"].update(runAsUser=0), "may run as root"),
    "no seccomp": (lambda b: _pod(b)["securityContext"].pop("seccompProfile"), "no seccomp"),
    "token": (lambda b: _pod(b).update(automountServiceAccountToken=True), "token"),
    "host network": (lambda b: _pod(b).update(hostNetwork=True), "hostNetwork"),
    "process 1": (lambda b: _pod(b).pop("shareProcessNamespace"), "does not hear SIGTERM"),
    "host path": (lambda b: _pod(b)["volumes"].append({"name": "x", "hostPath": {"path": "/"}}), "is a hostPath"),
    "no size limit": (lambda b: _pod(b)["volumes"][0].update(emptyDir={}), "has no limit"),
    "no grace": (lambda b: _pod(b).pop("terminationGracePeriodSeconds"), "how long its end"),
    "no account": (lambda b: _pod(b).update(serviceAccountName="default"), "ServiceAccount 'default'"),
    "spread of others": (
        lambda b: _pod(b)["topologySpreadConstraints"][0].update(labelSelector={"matchLabels": {"app": "x"}}),
        "counts other pods",
    ),
    "writable root": (lambda b: _container(b)["securityContext"].pop("readOnlyRootFilesystem"), "readOnlyRoot"),
    "escalation": (lambda b: _container(b)["securityContext"].update(allowPrivilegeEscalation=True), "Escalation"),
    "capability": (
        lambda b: _container(b)["securityContext"]["capabilities"].update(add=["NET_ADMIN"]),
        "capabilities",
    ),
    "privileged": (lambda b: _container(b)["securityContext"].update(privileged=True), "takes back"),
    "container as root": (lambda b: _container(b)["securityContext"].update(runAsUser=0), "takes back"),
    "latest": (lambda b: _container(b).update(image="registry:5000/worker:latest"), "no version"),
    "no tag": (lambda b: _container(b).update(image="registry:5000/worker"), "no version"),
    "no requests": (lambda b: _container(b)["resources"].pop("requests"), "no requests.cpu"),
    "no limit": (lambda b: _container(b)["resources"]["limits"].pop("memory"), "no limits.memory"),
    "no startup probe": (lambda b: _container(b).pop("startupProbe"), "no startupProbe"),
    "no liveness probe": (lambda b: _container(b).pop("livenessProbe"), "no livenessProbe"),
    "no readiness probe": (lambda b: _container(b).pop("readinessProbe"), "no readinessProbe"),
    "probe of no port": (lambda b: _container(b)["livenessProbe"]["httpGet"].update(port="web"), "asks a port"),
    "mount of nothing": (lambda b: _container(b)["volumeMounts"][0].update(name="x"), "which is no volume"),
    "threads": (lambda b: _container(b)["env"].remove(_environment(b, "OMP_NUM_THREADS")), "other threads"),
    "no config": (lambda b: _drop(b, "ConfigMap"), "needs ConfigMap"),
    "secret that must be": (
        lambda b: _environment(b, "MODERATE_REDIS__URL")["valueFrom"]["secretKeyRef"].pop("optional"),
        "needs Secret moderation-redis",
    ),
    "secret unknown": (
        lambda b: _environment(b, "MODERATE_REDIS__URL")["valueFrom"]["secretKeyRef"].update(name="other"),
        "Secret other is not documented",
    ),
    "no budget": (lambda b: _drop(b, "PodDisruptionBudget"), "has no PodDisruptionBudget"),
    "budget of others": (
        lambda b: _spec(b, "PodDisruptionBudget").update(selector={"matchLabels": {"app": "x"}}),
        "PodDisruptionBudget moderation-worker selects no pod",
    ),
    "no policy": (lambda b: _drop(b, "NetworkPolicy"), "no NetworkPolicy"),
    "policy of others": (
        lambda b: _spec(b, "NetworkPolicy").update(podSelector={"matchLabels": {"app": "x"}}),
        "NetworkPolicy moderation-worker selects no pod",
    ),
    "open policy": (lambda b: _spec(b, "NetworkPolicy")["egress"].append({}), "lets everything egress"),
    "policy of one way": (lambda b: _spec(b, "NetworkPolicy").update(policyTypes=["Ingress"]), "no NetworkPolicy"),
    "service of others": (lambda b: _spec(b, "Service").update(selector={"app": "x"}), "Service moderation-worker sel"),
    "service port": (lambda b: _spec(b, "Service")["ports"][0].update(targetPort="web"), "names port web"),
    "no service": (lambda b: _drop(b, "Service"), "its Service is not there"),
    "pods not selected": (
        lambda b: _spec(b, "StatefulSet").update(selector={"matchLabels": {"app": "x"}}),
        "does not select its own pods",
    ),
    "scales nothing": (
        lambda b: _spec(b, "ScaledObject")["scaleTargetRef"].update(kind="Deployment"),
        "scales Deployment moderation-worker, which is not there",
    ),
    "two masters": (lambda b: _spec(b, "StatefulSet").update(replicas=3), "replicas are KEDA's"),
    "to zero": (lambda b: _spec(b, "ScaledObject").update(minReplicaCount=0), "lets the live stream stop"),
    "other group": (lambda b: _metadata(b).update(consumerGroup="x"), "consumerGroup is 'x'"),
    "other topic": (lambda b: _metadata(b).update(topic="x"), "topic is 'x'"),
    "other broker": (lambda b: _metadata(b).update(bootstrapServers="x"), "bootstrapServers is 'x'"),
    "persistent lag": (lambda b: _metadata(b).pop("excludePersistentLag"), "excludePersistentLag is not false"),
    "no threshold": (lambda b: _metadata(b).pop("lagThreshold"), "thresholds are missing"),
    "no log-in": (
        lambda b: _spec(b, "ScaledObject")["triggers"][0].update(authenticationRef={"name": "x"}),
        "TriggerAuthentication x",
    ),
}


@pytest.mark.parametrize("name", WRONGS)
def test_what_is_wrong_is_seen(name: str) -> None:
    """Each violation, put into a good manifest, is named."""
    spoil, said = WRONGS[name]
    built = overlay("keda")
    spoil(built)
    assert any(said in violation for violation in violations(built, DOCUMENTED)), violations(built, DOCUMENTED)
