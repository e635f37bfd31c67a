"""The compose stack, as far as it can be held against the project without an engine."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.deploy.manifests import ROOT
from tests.deploy.tools import promtool
from worker.commands.options import setting_variables
from worker.service import _END_SECONDS
from worker.settings import load_settings

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}


def test_the_file_is_valid() -> None:
    """The file is what the Compose format's own schema allows."""
    schema = json.loads((Path(__file__).parent / "compose-spec.json").read_text(encoding="utf-8"))
    jsonschema.validate(COMPOSE, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**COMPOSE, "services": {"worker": {"replica": 3}}}, schema)


def test_settings_are_accepted(bare_environment: pytest.MonkeyPatch) -> None:
    """What the file gives its services is what a worker takes, and every MODERATE_ variable in it is a setting."""
    for service in OURS.values():
        for name, value in service["environment"].items():
            assert name in setting_variables()
            bare_environment.setenv(name, value)
    kafka = load_settings().kafka
    assert kafka.bootstrap_servers == "kafka:19092"
    drain = 2 * kafka.drain_seconds + _END_SECONDS
    assert int(SERVICES["worker"]["stop_grace_period"].removesuffix("s")) >= drain
    drain = 2 * load_settings().serve.drain_seconds + _END_SECONDS
    assert int(SERVICES["serve"]["stop_grace_period"].removesuffix("s")) >= drain


def test_every_service_that_is_waited_for_exists_and_says_when_it_is_healthy() -> None:
    """`depends_on` names services of the file; those waited for until healthy have a health check."""
    for service in SERVICES.values():
        for name, condition in service.get("depends_on", {}).items():
            assert name in SERVICES
            assert condition["condition"] != "service_healthy" or "healthcheck" in SERVICES[name]


def test_the_broker_is_the_version_that_keeps_its_markers() -> None:
    """Compose and the local stack run the same Kafka."""
    from worker.commands.stack.java import KAFKA_VERSION

    assert SERVICES["kafka"]["image"] == f"apache/kafka:{KAFKA_VERSION}"


def test_images_are_pinned() -> None:
    """Every image names a version, down to the minor one; ours is the project's."""
    for name, service in SERVICES.items():
        assert re.search(r":v?\d+\.\d+", service["image"]), name
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert version
    assert {service["image"] for service in OURS.values()} == {f"mm-orient-moderation:{version[1]}-cpu"}


def test_our_services_are_locked_down() -> None:
    """What we build runs without privileges, on a root file system that it cannot write to."""
    assert set(OURS) == {"topics", "worker", "serve", "feeder"}
    for service in OURS.values():
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert [mount.partition(":")[0] for mount in service["tmpfs"]] == ["/tmp"]  # noqa: S108 - the container's own
        assert not service.get("privileged")
        # Else it is process 1, which does not hear SIGTERM while it starts.
        assert service["init"]
        assert "user" not in service


def test_pages_are_for_this_machine_alone() -> None:
    """No port is published to other machines."""
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_what_is_mounted_is_there() -> None:
    """Every file and folder that is mounted is one of the repository, and mounted read-only."""
    mounts = [mount.split(":") for service in SERVICES.values() for mount in service.get("volumes", [])]
    assert mounts
    for source, _, mode in mounts:
        assert (ROOT / source).exists(), source
        assert mode == "ro"


def test_the_feeder_serves_where_the_worker_may_fetch() -> None:
    """The address under which the feeder's pictures are found is the one that the worker is allowed."""
    command = SERVICES["feeder"]["command"]
    host = command[command.index("--pictures-host") + 1]
    assert json.loads(SERVICES["worker"]["environment"]["MODERATE_MEDIA__ALLOWED_PRIVATE_HOSTS"]) == [host]
    assert host.partition(":")[0] in SERVICES


def test_prometheus_scrapes_workers_and_servers(tmp_path: Path) -> None:
    """promtool accepts the configuration, whose rule files lie beside it, and its targets are services of the file."""
    source = ROOT / "deploy" / "prometheus"
    configuration = yaml.safe_load((source / "prometheus.yml").read_text(encoding="utf-8"))
    for name in ("prometheus.yml", *configuration["rule_files"]):
        there = source / name
        content = there.read_text(encoding="utf-8") if there.exists() else "groups: []\n"
        (tmp_path / name).write_text(content, encoding="utf-8")
    command = [promtool(), "check", "config", tmp_path / "prometheus.yml"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    for name in ("worker", "serve"):
        (job,) = [one for one in configuration["scrape_configs"] if one["job_name"] == f"moderation-{name}"]
        (target,) = job["dns_sd_configs"]
        assert target["names"] == [name]
        assert SERVICES[name]["ports"][0].endswith(f":{target['port']}")


def test_grafana_finds_its_dashboards() -> None:
    """Dashboards are looked for where the file mounts them, and their source of data is the stack's Prometheus."""
    provisioning = ROOT / "deploy" / "grafana" / "provisioning"
    mounts = dict(mount.removesuffix(":ro").split(":") for mount in SERVICES["grafana"]["volumes"])
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "moderation.yml").read_text())["providers"]
    assert provider["options"]["path"] == mounts["./deploy/grafana/dashboards"]
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    assert source["url"].rpartition("/")[2].partition(":")[0] in SERVICES
