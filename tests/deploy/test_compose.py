"""The files for those who have Docker, as far as they can be held against the project without an engine."""

import re
from pathlib import Path
from typing import Any

import yaml

from worker.options import setting_variables

ROOT = Path(__file__).parent.parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))


def test_settings_named_in_files_exist() -> None:
    """Every MODERATE_ variable in the compose file and the Dockerfile is a setting."""
    for path in (ROOT / "docker-compose.yml", ROOT / "deploy" / "Dockerfile"):
        named = set(re.findall(r"MODERATE_[A-Z0-9_]+", path.read_text(encoding="utf-8")))
        assert named, path
        assert named <= setting_variables()


def test_every_service_that_is_waited_for_exists_and_says_when_it_is_healthy() -> None:
    """`depends_on` names services of the file; those waited for until healthy have a health check."""
    services = COMPOSE["services"]
    for service in services.values():
        for name, condition in service.get("depends_on", {}).items():
            assert name in services
            assert condition["condition"] != "service_healthy" or "healthcheck" in services[name]


def test_the_broker_is_the_version_that_keeps_its_markers() -> None:
    """Compose and the local stack run the same Kafka."""
    from worker.stack.java import KAFKA_VERSION

    assert COMPOSE["services"]["kafka"]["image"] == f"apache/kafka:{KAFKA_VERSION}"


def test_images_are_pinned_and_the_worker_is_not_root() -> None:
    """No `latest`, and the last stage of the Dockerfile changes to a user."""
    assert all(":" in service.get("image", ":") for service in COMPOSE["services"].values())
    last_stage = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8").rsplit("FROM ", 1)[1]
    assert re.search(r"^USER \d+$", last_stage, re.MULTILINE)
