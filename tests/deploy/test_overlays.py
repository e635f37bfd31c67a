"""The manifests are built, valid, and say what the worker understands."""

import json
import re
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml
from click.testing import CliRunner

from tests.deploy.manifests import KUBERNETES, OVERLAYS, ROOT, Document, environment, of_kind, overlay, workloads
from worker.cli import moderate
from worker.commands.options import setting_variables
from worker.service import _END_SECONDS
from worker.settings import Settings, load_settings

CRDS = {path.stem: json.loads(path.read_text()) for path in (Path(__file__).parent / "crds").glob("*.json")}


def validate(document: Document) -> None:
    """Hold a document against its schema: Kubernetes' newest, or that of its custom resource."""
    if document["kind"] in CRDS:
        jsonschema.validate(document, CRDS[document["kind"]])
    else:
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)


def settings_of(container: Document, built: list[Document], bare: pytest.MonkeyPatch) -> Settings:
    """Return the settings that a container of the built documents starts with."""
    for name, value in environment(container, built).items():
        bare.setenv(name, value)
    return load_settings()


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_document_is_valid(name: str) -> None:
    """Each document is valid for the newest Kubernetes, or as its custom resource; no field is unknown."""
    built = overlay(name)
    assert built
    for document in built:
        validate(document)


@pytest.mark.parametrize(("kind", "field"), [("StatefulSet", "replica"), ("ScaledObject", "maxReplicas")])
def test_an_unknown_field_is_refused(kind: str, field: str) -> None:
    """A field that a schema does not know is refused, in Kubernetes' own kinds and in custom ones."""
    (document,) = of_kind(overlay("keda"), kind)
    validate(document)
    document["spec"][field] = 3
    with pytest.raises(jsonschema.ValidationError, match=field):
        validate(document)


@pytest.mark.parametrize("name", OVERLAYS)
def test_settings_are_accepted(name: str, bare_environment: pytest.MonkeyPatch) -> None:
    """What an overlay gives its workers is what a worker takes, and every MODERATE_ variable in it is a setting."""
    built = overlay(name)
    for workload in workloads(built):
        for container in workload.containers:
            given = {variable for variable in environment(container, built) if variable.startswith("MODERATE_")}
            assert given
            assert given <= setting_variables()
            settings = settings_of(container, built, bare_environment)
            assert settings.http.host == "0.0.0.0"  # noqa: S104 - the pages are for the kubelet and Prometheus
            assert settings.kafka.bootstrap_servers
            assert settings.redis.url


def test_every_variable_named_under_deploy_is_a_setting() -> None:
    """No file under deploy/ names a MODERATE_ variable that is no setting."""
    named = {
        (path.relative_to(ROOT), variable)
        for path in (ROOT / "deploy").rglob("*")
        if path.is_file()
        for variable in re.findall(r"MODERATE_[A-Z0-9_]*[A-Z0-9]", path.read_text(encoding="utf-8", errors="ignore"))
    }
    assert named
    assert {(path, variable) for path, variable in named if variable not in setting_variables()} == set()


@pytest.mark.parametrize("name", OVERLAYS)
def test_commands_exist(name: str) -> None:
    """What a container runs is a command of `moderate`, with options that it has."""
    for workload in workloads(overlay(name)):
        for container in workload.containers:
            answer = CliRunner().invoke(moderate, [*container["args"], "--help"])
            assert answer.exit_code == 0, answer.output


@pytest.mark.parametrize("name", OVERLAYS)
def test_images_are_those_of_this_version(name: str) -> None:
    """Every container runs this project's version, of the kind that the overlay's device needs."""
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert version
    kind = "cuda" if name == "gpu" else "cpu"
    images = {container["image"] for workload in workloads(overlay(name)) for container in workload.containers}
    assert images == {f"mm-orient-moderation:{version[1]}-{kind}"}


def test_device_and_precision(bare_environment: pytest.MonkeyPatch) -> None:
    """The gpu overlay computes on a GPU that it asks for, in the precision that all others have."""
    built = overlay("gpu")
    (stateful_set,) = workloads(built)
    (container,) = stateful_set.containers
    settings = settings_of(container, built, bare_environment)
    assert (settings.device, settings.precision) == ("cuda", Settings.model_fields["precision"].default)
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert [toleration["key"] for toleration in stateful_set.pod["tolerations"]] == ["nvidia.com/gpu"]


def test_a_pod_is_a_static_member_by_its_name(bare_environment: pytest.MonkeyPatch) -> None:
    """A worker's name in the group is its pod's, and the group waits for it longer than a restart may take."""
    built = overlay("cpu")
    (workload,) = workloads(built)
    settings = settings_of(workload.containers[0], built, bare_environment)
    assert settings.kafka.group_instance_id == "moderation-worker-0"
    # Measured: a restart takes up to 18 s (deploy/README.md); a pod is scheduled and started besides.
    assert settings.kafka.session_timeout_seconds >= 2 * 18


@pytest.mark.parametrize("name", OVERLAYS)
def test_a_pod_reads_from_its_own_zone(name: str, bare_environment: pytest.MonkeyPatch) -> None:
    """A worker's rack is the zone of its pod's label; a pod without that label reads from the leaders."""
    built = overlay(name)
    for workload in workloads(built):
        settings = settings_of(workload.containers[0], built, bare_environment)
        assert settings.kafka.client_rack == "zone-a"
        bare_environment.setenv("MODERATE_KAFKA__CLIENT_RACK", "")
        assert not load_settings().kafka.client_rack


@pytest.mark.parametrize("name", ["cpu", "gpu", "keda", "shadow", "backfill"])
def test_the_end_has_the_time_that_it_may_need(name: str, bare_environment: pytest.MonkeyPatch) -> None:
    """The grace period holds the drain, what is cut short, and the time after which the process ends itself."""
    built = overlay(name)
    for workload in workloads(built):
        settings = settings_of(workload.containers[0], built, bare_environment)
        before = workload.containers[0].get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        worst = before + 2 * settings.kafka.drain_seconds + _END_SECONDS
        assert worst <= workload.pod["terminationGracePeriodSeconds"] <= 2 * worst


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_worker_finds_what_hangs_before_the_kubelet_does(name: str, bare_environment: pytest.MonkeyPatch) -> None:
    """The liveness probe is more patient than the worker's own watch, which names the guilty post."""
    built = overlay(name)
    for workload in workloads(built):
        (container,) = workload.containers
        settings = settings_of(container, built, bare_environment)
        patience = 10 if workload.document["kind"] == "Job" else 1
        probe = container["livenessProbe"]
        assert probe["periodSeconds"] * probe["failureThreshold"] > patience * settings.guard.max_work_seconds
        assert workload.runs_on


def test_memory_holds_the_trial_beside_the_worker(bare_environment: pytest.MonkeyPatch) -> None:
    """The limit holds a worker at its worst, a second model, and what a post on trial may take."""
    for name, models in (("cpu", 2), ("shadow", 3)):
        built = overlay(name)
        (workload,) = workloads(built)
        (container,) = workload.containers
        settings = settings_of(container, built, bare_environment)
        # Measured in MB (deploy/README.md): 560 a process with a loaded model, at most 430 above it.
        needed = models * 560e6 + 430e6 + settings.guard.trial_memory_bytes
        assert needed <= _bytes(container["resources"]["limits"]["memory"])
        assert _bytes(container["resources"]["requests"]["memory"]) >= (models - 1) * 560e6 + 430e6


def _bytes(quantity: str) -> float:
    number, unit = re.fullmatch(r"(\d+)(Mi|Gi)", quantity).groups()  # type: ignore[union-attr]
    return float(number) * {"Mi": 2**20, "Gi": 2**30}[unit]


def test_the_backfill_ends_by_itself() -> None:
    """The backfill is an indexed Job, every process of which sees the end; wrong settings fail it at once."""
    built = overlay("backfill")
    (job,) = of_kind(built, "Job")
    spec = job["spec"]
    assert (spec["completionMode"], spec["completions"]) == ("Indexed", spec["parallelism"])
    assert spec["template"]["spec"]["restartPolicy"] == "Never"
    actions = {rule["action"]: rule for rule in spec["podFailurePolicy"]["rules"]}
    assert actions["FailJob"]["onExitCodes"]["values"] == [2]
    assert actions["Ignore"]["onPodConditions"][0]["type"] == "DisruptionTarget"
    assert spec["ttlSecondsAfterFinished"] > 0
    (priority,) = of_kind(built, "PriorityClass")
    assert priority["value"] < 0
    assert priority["preemptionPolicy"] == "Never"


def test_deleting_a_backfill_takes_nothing_from_the_live_workers() -> None:
    """Backfill and live overlay have no resource in common."""

    def names(name: str) -> set[tuple[str, str]]:
        return {(document["kind"], document["metadata"]["name"]) for document in overlay(name)}

    assert names("backfill") & names("cpu") == set()


def test_a_shadow_has_its_checkpoint_mounted(bare_environment: pytest.MonkeyPatch) -> None:
    """The shadow's checkpoint lies on the volume of models, which nobody writes to."""
    built = overlay("shadow")
    (workload,) = workloads(built)
    (container,) = workload.containers
    settings = settings_of(container, built, bare_environment)
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
    assert str(settings.shadow.checkpoint).startswith(mounts["models"]["mountPath"] + "/")
    assert mounts["models"]["readOnly"]


def test_scaling_down_is_slower_than_the_pause_that_it_costs(bare_environment: pytest.MonkeyPatch) -> None:
    """Workers go one at a time, and the next one only when the last one's partitions have their owner."""
    built = overlay("keda")
    (scaled,) = of_kind(built, "ScaledObject")
    (workload,) = workloads(built)
    session = settings_of(workload.containers[0], built, bare_environment).kafka.session_timeout_seconds
    down = scaled["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"]
    (policy,) = down["policies"]
    assert (policy["type"], policy["value"]) == ("Pods", 1)
    assert policy["periodSeconds"] > session
    assert down["stabilizationWindowSeconds"] >= 300


def test_overlays_are_all_tested() -> None:
    """No overlay is left out of these tests."""
    assert {path.name for path in (KUBERNETES / "overlays").iterdir()} == set(OVERLAYS)


def test_making_topics_again_is_no_failure() -> None:
    """The Job runs at every apply, also once somebody has added partitions."""
    job = yaml.safe_load((KUBERNETES / "components" / "topics" / "job.yaml").read_text(encoding="utf-8"))
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert "--at-least" in container["args"]
    assert CliRunner().invoke(moderate, [*container["args"], "--help"]).exit_code == 0
