"""The chart renders what kustomize builds; its values are described, and checked before anything is installed."""

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from deploy.helm import generate
from tests.deploy.manifests import (
    DUMPER,
    KUBERNETES,
    ROOT,
    Document,
    documents,
    environment,
    of_kind,
    parsed,
    workloads,
)
from tests.deploy.policy import violations
from tests.deploy.test_overlays import validate
from tests.deploy.tools import helm
from tests.tiers import some_slow
from worker.commands.options import setting_variables

CHART = ROOT / "deploy" / "helm"
DOCUMENTED = (ROOT / "deploy" / "README.md").read_text(encoding="utf-8")
# Helm's own, which say which release and chart an object belongs to.
_LABELS = {"app.kubernetes.io/instance", "app.kubernetes.io/managed-by", "helm.sh/chart"}


@dataclass(frozen=True)
class Twin:
    """Values of the chart, and the overlay and components that they stand for."""

    values: dict[str, Any]
    overlay: str = "overlays/cpu"
    components: list[str] = field(default_factory=list)


def on(*names: str) -> dict[str, Any]:
    """Return values that switch something on."""
    return {name: {"enabled": True} for name in names}


TWINS = {
    "nothing set": Twin({}),
    "base": Twin({"device": ""}, "base"),
    "gpu": Twin({"device": "cuda"}, "overlays/gpu"),
    "keda": Twin(on("keda"), "overlays/keda"),
    "shadow": Twin(on("shadow"), "overlays/shadow"),
    "models": Twin(on("models"), components=["models"]),
    "policies": Twin(on("policies"), components=["policies"]),
    "serve": Twin(on("serve"), components=["serve"]),
    "topics": Twin(on("topics"), components=["topics"]),
    "doctor": Twin(on("doctor"), components=["doctor"]),
    "audit": Twin(on("audit"), components=["audit"]),
    "pod-monitor": Twin(on("podMonitor"), components=["pod-monitor"]),
    "secured-kafka": Twin(on("securedKafka"), components=["secured-kafka"]),
    "secured-kafka-keda": Twin(
        on("securedKafka", "keda"), "overlays/keda", ["secured-kafka", "secured-kafka-keda", "keda-settings"]
    ),
    "everything": Twin(
        on("keda", "securedKafka", "models", "policies", "serve", "topics", "doctor", "audit", "podMonitor"),
        "overlays/keda",
        [
            "serve",
            "topics",
            "doctor",
            "audit",
            "models",
            "policies",
            "secured-kafka",
            "secured-kafka-keda",
            "pod-monitor",
        ],
    ),
}
# Components that no switch stands for, since the chart always does what they do.
_ALWAYS = {"keda-settings"}


@cache
def _rendered(values: str, *, build: bool = False, chart: Path = CHART) -> tuple[str, str]:
    command = [str(helm(build=build)), "template", "moderation", str(chart), "--namespace", "here", "--values", "-"]
    ended = subprocess.run(command, input=values, capture_output=True, text=True, timeout=60, check=False)
    return ended.stdout, ended.stderr


def rendered(values: dict[str, Any], *, build: bool = False) -> list[Document]:
    """Return what Helm renders of values."""
    out, said = _rendered(json.dumps(values), build=build)
    assert out, said
    return parsed(out)


def refused(values: dict[str, Any]) -> str:
    """Return what Helm says of values that it refuses."""
    out, said = _rendered(json.dumps(values))
    assert not out
    return said


def built(twin: Twin, folder: Path) -> list[Document]:
    """Return what kustomize builds for a twin, its generated names without their digests."""
    said = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [os.path.relpath(KUBERNETES / twin.overlay, folder.resolve())],
        "components": [os.path.relpath(KUBERNETES / "components" / one, folder.resolve()) for one in twin.components],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(said), encoding="utf-8")
    text = yaml.dump_all(documents(folder), Dumper=DUMPER)
    return parsed(re.sub(r"\b(moderation-(?:settings|policies))-[a-z0-9]{10}\b", r"\1", text))


def without_helms_own(document: Document) -> Document:
    """Return a document without what the chart's README names as Helm's own."""
    labels = document["metadata"]["labels"]
    assert set(labels) >= _LABELS
    document["metadata"]["labels"] = {name: value for name, value in labels.items() if name not in _LABELS}
    for workload in workloads([document]):
        metadata = document["spec"].get("template", {}).get("metadata", {})
        sums = [name for name in metadata.get("annotations", {}) if name.startswith("checksum/")]
        assert bool(sums) == (workload.document["kind"] in {"StatefulSet", "Deployment"})
        for name in sums:
            del metadata["annotations"][name]
    if document["kind"] == "Job":
        document["metadata"]["name"] = document["metadata"]["name"].removesuffix("-1")
    return document


def by_name(found: list[Document]) -> dict[tuple[str, str], Document]:
    """Return documents by kind and name."""
    named = {(document["kind"], document["metadata"]["name"]): document for document in found}
    assert len(named) == len(found)
    return named


# All switches at once are there without the single ones.
@pytest.mark.parametrize(
    "name", some_slow(TWINS, TWINS.keys() - {"nothing set", "base", "gpu", "shadow", "everything"})
)
def test_each_switch_equals_its_overlay_or_component(name: str, tmp_path: Path) -> None:
    """Kinds, names and all fields are those of kustomize, and keep to the policy of the manifests."""
    twin = TWINS[name]
    made = rendered(twin.values)
    for document in made:
        validate(document)
    assert violations(made, DOCUMENTED) == []
    ours, theirs = by_name([without_helms_own(one) for one in made]), by_name(built(twin, tmp_path))
    assert set(ours) == set(theirs)
    for key, document in theirs.items():
        assert ours[key] == document, key


@pytest.mark.soak
def test_a_helm_that_is_built_here_renders_the_chart() -> None:
    """The script builds Helm where Go is there, and the chart renders with it."""
    assert of_kind(rendered({}, build=True), "StatefulSet")


def test_every_overlay_and_component_has_a_twin() -> None:
    """What is added to kustomize is added to the chart; backfills alone are kustomize's."""
    components = {path.name for path in (KUBERNETES / "components").iterdir()}
    assert {one for twin in TWINS.values() for one in twin.components} | _ALWAYS == components
    overlays = {f"overlays/{path.name}" for path in (KUBERNETES / "overlays").iterdir()} | {"base"}
    assert overlays - {twin.overlay for twin in TWINS.values()} == {"overlays/backfill"}


def test_the_chart_is_as_it_is_generated() -> None:
    """Making the chart again changes nothing."""
    for path, text in generate.files().items():
        assert (CHART / path).read_text(encoding="utf-8") == text, f"{path}: run `python deploy/helm/generate.py`"
    unmade = {"_helpers.tpl", "NOTES.txt"}
    assert {path.name for path in (CHART / "templates").iterdir()} - unmade == {
        path.name for path in generate.files() if path.parent.name == "templates"
    }


def test_templates_are_yaml_around_their_actions() -> None:
    """Without Helm too: what is between the actions is YAML, with a kind."""
    for path in (CHART / "templates").glob("*.yaml"):
        text = re.sub(r"^\s*\{\{.*\}\}\n", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        for document in yaml.safe_load_all(re.sub(r"\{\{.*?\}\}", "1", text)):
            assert document["kind"], path


def test_every_value_is_described_and_the_defaults_are_valid() -> None:
    """The schema takes the defaults, has words for each value, and knows no others."""
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft7Validator.check_schema(schema)
    defaults = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    jsonschema.validate(defaults, schema)
    _hold_described(schema, "values")
    with pytest.raises(jsonschema.ValidationError, match="replica"):
        jsonschema.validate({**defaults, "worker": {**defaults["worker"], "replica": 3}}, schema)


def _hold_described(schema: dict[str, Any], path: str) -> None:
    for name, below in schema.get("properties", {}).items():
        assert len(below["description"]) > 5, f"{path}.{name}"
        _hold_described(below, f"{path}.{name}")


def test_settings_are_known_and_hold_no_secrets() -> None:
    """The schema has the worker's settings; those that are secrets are not taken into a ConfigMap."""
    known = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))["properties"]["settings"]
    assert set(known["properties"]) <= setting_variables()
    assert "MODERATE_KAFKA__SASL_PASSWORD" in setting_variables() - set(known["properties"])
    assert known["additionalProperties"] is False


def test_wrong_values_are_refused_by_helm() -> None:
    """A misspelt setting, a password and a number of workers below one end with the name of what is wrong."""
    assert "MODERATE_KAFKA__GROUPID" in refused({"settings": {"MODERATE_KAFKA__GROUPID": "x"}})
    assert "SASL_PASSWORD" in refused({"settings": {"MODERATE_KAFKA__SASL_PASSWORD": "x"}})
    assert "replicas" in refused({"worker": {"replicas": 0}})
    assert "device" in refused({"device": "tpu"})
    by_token = {"settings": {"MODERATE_KAFKA__SASL_MECHANISM": "OAUTHBEARER"}, **on("securedKafka", "keda")}
    assert "logs in by PLAIN or SCRAM alone" in refused(by_token)


def test_ones_own_values_reach_their_places() -> None:
    """Settings win over those of switches, numbers stay as written, and what is set once is read everywhere."""
    values = {
        "image": {"repository": "registry.example/moderation", "tag": "7", "pullSecrets": [{"name": "registry"}]},
        "worker": {"resources": {"limits": {"cpu": "4"}}, "nodeSelector": {"disk": "fast"}},
        "settings": {
            "MODERATE_KAFKA__BOOTSTRAP_SERVERS": "kafka-0:9093",
            "MODERATE_KAFKA__SASL_MECHANISM": "SCRAM-SHA-256",
            "MODERATE_GUARD__TRIAL_MEMORY_BYTES": 2147483648,
            "MODERATE_KAFKA__LEAVE_ON_STOP": False,
            "MODERATE_TRACE__SHARE": 0.01,
            "MODERATE_HTTP__HOST": None,
        },
        "networkPolicy": {"extraEgress": [{"to": [{"ipBlock": {"cidr": "192.0.2.7/32"}}], "ports": [{"port": 9093}]}]},
        "keda": {"enabled": True, "lagThreshold": 2000000, "cpuUtilization": None},
        **on("securedKafka", "serve"),
    }
    made = rendered(values)
    (stateful_set,) = of_kind(made, "StatefulSet")
    (worker,) = stateful_set["spec"]["template"]["spec"]["containers"]
    assert worker["image"] == "registry.example/moderation:7"
    assert (worker["resources"]["limits"]["cpu"], worker["resources"]["limits"]["memory"]) == ("4", "2560Mi")
    given = environment(worker, made)
    assert given["MODERATE_GUARD__TRIAL_MEMORY_BYTES"] == "2147483648"
    assert (given["MODERATE_KAFKA__LEAVE_ON_STOP"], given["MODERATE_TRACE__SHARE"]) == ("false", "0.01")
    assert "MODERATE_HTTP__HOST" not in given
    (scaled,) = of_kind(made, "ScaledObject")
    (trigger,) = scaled["spec"]["triggers"]
    asked = trigger["metadata"]
    assert (asked["bootstrapServers"], asked["sasl"]) == ("kafka-0:9093", "scram_sha256")
    assert asked["lagThreshold"] == "2000000"
    (account,) = of_kind(made, "ServiceAccount")
    assert account["imagePullSecrets"] == [{"name": "registry"}]
    for policy in of_kind(made, "NetworkPolicy"):
        assert policy["spec"]["egress"][-1]["ports"] == [{"port": 9093}]
    assert violations(made, DOCUMENTED) == []


def test_the_doctor_of_workers_with_gpus_asks_for_none() -> None:
    """Its areas exist, and leave out those that need the device."""
    (job,) = of_kind(rendered({"device": "cuda", **on("doctor")}), "Job")
    (container,) = job["spec"]["template"]["spec"]["containers"]
    (only,) = (one.removeprefix("--only=").split(",") for one in container["args"] if one.startswith("--only="))
    page = (ROOT / "docs" / "doctor.md").read_text(encoding="utf-8").partition("## What it looks at")[2]
    areas = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    assert set(only) == areas - {"checkpoint", "machine"}


def test_the_notes_name_what_is_there(tmp_path: Path) -> None:
    """What an install says names the topic, the broker, the pods and the Secrets that it needs."""
    chart = tmp_path / "chart"
    shutil.copytree(CHART, chart)
    # Helm shows them to none but a cluster: here they are an object's data.
    (chart / "templates" / "NOTES.txt").rename(chart / "notes")
    said = 'kind: Notes\ntext: {{ tpl (.Files.Get "notes") . | toJson }}\n'
    (chart / "templates" / "notes.yaml").write_text(said, encoding="utf-8")
    values = {**on("serve", "securedKafka"), "settings": {"MODERATE_KAFKA__POSTS_TOPIC": "toots"}}
    out, error = _rendered(json.dumps(values), chart=chart)
    made = parsed(out)
    assert out, error
    (notes,) = (str(one["text"]) for one in made if one["kind"] == "Notes")
    assert notes.startswith("Workers of moderation read toots from kafka:9092.\n")
    named = set(re.findall(r"statefulset/([\w-]+)", notes)) | set(re.findall(r"http://([\w-]+)\.here ", notes))
    assert named == {"moderation-worker", "moderation-serve"}
    (service,) = (one for one in of_kind(made, "Service") if one["metadata"]["name"] == "moderation-serve")
    assert [port["port"] for port in service["spec"]["ports"]] == [80]
    assert "topics.enabled" in notes
    for secret in ("moderation-kafka", "moderation-serve-keys"):
        assert secret in notes


def test_a_changed_setting_rolls_the_pods_and_another_chart_does_not() -> None:
    """The pods' annotations change with the settings and the policies; nothing of the chart's is in their labels."""

    def pods(values: dict[str, Any]) -> list[Document]:
        return [one["spec"]["template"]["metadata"] for one in of_kind(rendered(values), "StatefulSet", "Deployment")]

    before = pods(on("serve", "policies"))
    settings = pods({**on("serve", "policies"), "settings": {"MODERATE_LOG__FORMAT": "text"}})
    rules = pods({**on("serve"), "policies": {"enabled": True, "files": {"rules.toml": "# other"}}})
    assert len(before) == 2
    for old, new, other in zip(before, settings, rules, strict=True):
        assert old["annotations"]["checksum/settings"] != new["annotations"]["checksum/settings"]
        assert old["annotations"]["checksum/policies"] != other["annotations"]["checksum/policies"]
        assert not set(old["labels"]) & _LABELS
