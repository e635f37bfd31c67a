"""The project's own files: a stranger can read, license, cite and build it, and the versions in them agree."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
GITHUB = ROOT / ".github"


def read(name: str) -> str:
    """Return the text of a file of the project."""
    return (ROOT / name).read_text(encoding="utf-8")


def loaded(path: Path) -> Any:
    """Return what a YAML file holds."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def jobs() -> Mapping[str, Any]:
    """Return the jobs of the workflow."""
    found: Mapping[str, Any] = loaded(GITHUB / "workflows" / "ci.yml")["jobs"]
    return found


def commands(job: Mapping[str, Any]) -> list[str]:
    """Return the commands that a job runs."""
    return [step["run"] for step in job["steps"] if "run" in step]


def allowed(version: str) -> bool:
    """Return whether `requires-python` allows a version such as 3.12."""
    least = re.fullmatch(r">=(\d+)\.(\d+)", PROJECT["requires-python"])
    assert least, PROJECT["requires-python"]
    major, minor = (int(part) for part in version.split("."))
    return (major, minor) >= (int(least[1]), int(least[2]))


def test_the_readme_is_read_in_three_minutes() -> None:
    """It has 700 words at most, and names what a newcomer needs first."""
    text = read("README.md")
    assert len(text.split()) <= 700
    first_screen = "\n".join(text.splitlines()[:35])
    for word in ("make demo", "make test", "bundled model", "English", "Licence"):
        assert word in first_screen, word


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"])
def test_links_lead_to_files(name: str) -> None:
    """Every relative link of the pages in the root names a file or folder that is there."""
    for target in re.findall(r"\]\(([^)#\s]+)", read(name)):
        assert ":" in target or (ROOT / target).exists(), target


def test_the_licence_is_the_one_that_is_named() -> None:
    """LICENSE holds the whole Apache License 2.0, and pyproject names it and ships it."""
    text = read("LICENSE")
    assert "Apache License\n                           Version 2.0, January 2004" in text
    for part in ("1. Definitions.", "5. Submission of Contributions.", "9. Accepting Warranty", "END OF TERMS"):
        assert part in text
    assert PROJECT["license"] == "Apache-2.0"
    assert PROJECT["license-files"] == ["LICENSE"]


def test_the_version_is_the_same_everywhere() -> None:
    """The changelog's newest release, the citation and the image are of the version that pyproject names."""
    version = PROJECT["version"]
    headings = re.findall(r"^## \[(.+?)\](?: - (\d{4}-\d{2}-\d{2}))?$", read("CHANGELOG.md"), re.MULTILINE)
    assert headings[0] == ("Unreleased", "")
    assert headings[1][0] == version
    citation = loaded(ROOT / "CITATION.cff")
    assert (citation["version"], citation["date-released"]) == headings[1]
    assert f"ARG VERSION={version}\n" in read("deploy/Dockerfile")
    assert f"mm-orient-moderation:{version}-cpu" in read("docker-compose.yml")
    assert f"| {version.rpartition('.')[0]} | yes |" in read("SECURITY.md")


def test_the_citation_has_what_its_format_requires() -> None:
    """The keys that CFF 1.2.0 requires are there, for the software and for the paper."""
    citation = loaded(ROOT / "CITATION.cff")
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert citation["cff-version"] == "1.2.0"
    assert citation["license"] == PROJECT["license"]
    (paper,) = citation["references"]
    assert {"type", "title", "authors"} <= paper.keys()
    assert paper["url"].endswith("2508.16300")
    for author in citation["authors"] + paper["authors"]:
        assert "name" in author or {"family-names", "given-names"} <= author.keys()


def test_the_workflow_runs_the_tiers_on_every_version() -> None:
    """`check` and `test` run on each version that pyproject names, `soak` at night."""
    named = {name.rpartition(" ")[2] for name in PROJECT["classifiers"] if re.search(r":: Python :: \d+\.\d+$", name)}
    tested = set(jobs()["check-and-test"]["strategy"]["matrix"]["python"])
    assert tested == named
    assert all(allowed(version) for version in tested)
    assert {"make check", "make test"} <= set(commands(jobs()["check-and-test"]))
    assert "make soak" in commands(jobs()["soak"])
    # YAML 1.1 reads the key `on` as true.
    assert loaded(GITHUB / "workflows" / "ci.yml")[True]["schedule"]


@pytest.mark.parametrize("path", sorted((GITHUB / "ISSUE_TEMPLATE").glob("*.yml")), ids=lambda path: path.name)
def test_issue_forms_have_what_the_forge_requires(path: Path) -> None:
    """Each form has a name, a description and a body whose fields have ids of their own and labels."""
    form = loaded(path)
    if path.name == "config.yml":
        assert isinstance(form["blank_issues_enabled"], bool)
        return
    assert form["name"]
    assert form["description"]
    fields = [part for part in form["body"] if part["type"] != "markdown"]
    assert fields
    assert len({part["id"] for part in fields}) == len(fields)
    for part in fields:
        assert part["attributes"]["label"]


def test_hooks_call_the_pinned_tools() -> None:
    """Each hook of pre-commit is local and runs a tool of .venv, as `make lint` does."""
    (repository,) = loaded(ROOT / ".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local"
    for hook in repository["hooks"]:
        assert hook["language"] == "system"
        tool = hook["entry"].split()[0]
        assert tool.startswith(".venv/bin/")
        assert f"$(BIN)/{tool.rpartition('/')[2]} " in MAKEFILE.replace("\n", " ")


def test_a_report_of_a_vulnerability_stays_private() -> None:
    """The security policy says how, and no issue form asks for one."""
    assert "private advisory" in read("SECURITY.md")
    assert "SECURITY.md" in (GITHUB / "ISSUE_TEMPLATE" / "bug.yml").read_text(encoding="utf-8")


def test_every_locked_package_has_its_digests() -> None:
    """And `make setup` installs none without."""
    locked = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    entries = re.split(r"^(?=[a-z0-9])", locked, flags=re.MULTILINE)[1:]
    assert len(entries) > 100
    assert [entry.split(" ")[0] for entry in entries if "--hash=sha256:" not in entry] == []
    assert "--require-hashes" in (ROOT / "Makefile").read_text(encoding="utf-8")
