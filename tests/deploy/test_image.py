"""The Dockerfile, as far as it can be held against the project without building; and what the image's build runs."""

import fnmatch
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.manifests import ROOT
from worker.commands.options import setting_variables

DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
STAGES = {
    name: text
    for text in re.split(r"^(?=FROM )", DOCKERFILE, flags=re.MULTILINE)[1:]
    for name in re.findall(r"\AFROM \S+ AS (\S+)", text)
}


def test_settings_named_exist() -> None:
    """Every MODERATE_ variable of the Dockerfile is a setting."""
    named = set(re.findall(r"MODERATE_[A-Z0-9_]+", DOCKERFILE))
    assert named
    assert named <= setting_variables()


def test_images_are_not_root_and_hold_no_builder() -> None:
    """Both images come from the stage that changes to a user, and copy the environment alone."""
    assert re.search(r"^USER 10001$", STAGES["runtime"], re.MULTILINE)
    for target in ("cpu", "cuda"):
        assert STAGES[target].startswith("FROM runtime AS")
        assert re.findall(r"^COPY .*", STAGES[target], re.MULTILINE) == [
            f"COPY --from=build-{target} /opt/worker /opt/worker"
        ]
        assert "USER" not in STAGES[target]


def test_the_plain_build_is_the_cpu_image() -> None:
    """The last stage is what a build without a target gives."""
    assert list(STAGES)[-1] == "cpu"


def test_bases_are_pinned() -> None:
    """The base image names a version down to the patch, and no stage has another."""
    assert re.search(r"^ARG BASE_IMAGE=python:\d+\.\d+\.\d+-slim-bookworm$", DOCKERFILE, re.MULTILINE)
    bases = set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE))
    assert bases - set(STAGES) == {"${BASE_IMAGE}"}


def test_the_image_says_what_it_is() -> None:
    """The OCI labels are there, and a health check of the page that says that the worker is alive."""
    for label in ("title", "description", "version", "revision", "created", "source", "licenses"):
        assert f"org.opencontainers.image.{label}=" in STAGES["runtime"]
    assert "/livez" in re.findall(r"HEALTHCHECK.*\n.*", STAGES["runtime"])[0]


def test_all_that_is_copied_is_in_the_context() -> None:
    """What a stage copies of the project exists, and .dockerignore lets it through; the rest stays out."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    let_through = {line[1:] for line in lines if line.startswith("!")}
    copied = {
        source
        for command in re.findall(r"^COPY (?!--from)(.*)", DOCKERFILE, re.MULTILINE)
        for source in command.split()[:-1]
    }
    assert "*" in lines
    assert copied == let_through
    assert all((ROOT / source).exists() for source in copied)


def test_no_registry_is_named() -> None:
    """Where packages come from is the builder's to say: no file of the image's build names a host."""
    for path in (ROOT / "deploy" / "image").iterdir():
        assert "://" not in path.read_text(encoding="utf-8"), path
    assert set(re.findall(r"\w+://\S+?(?=[/'])", DOCKERFILE)) == {"http://127.0.0.1:"}


def test_the_cpu_image_leaves_out_what_only_a_gpu_uses() -> None:
    """The names that install_cpu.sh takes from the lock are NVIDIA's, CUDA's and triton, all of them."""
    script = (ROOT / "deploy" / "image" / "install_cpu.sh").read_text(encoding="utf-8")
    pattern = re.search(r"sed -nE '(.+?)' requirements\.lock", script)
    assert pattern
    said = subprocess.run(
        ["sed", "-nE", pattern[1], ROOT / "requirements.lock"], capture_output=True, text=True, check=True
    )
    left_out = set(said.stdout.split())
    locked = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements.lock").read_text(encoding="utf-8"), re.MULTILINE))
    assert left_out == {name for name in locked if fnmatch.fnmatch(name, "nvidia-*") or name.startswith("cuda-")} | {
        "triton"
    }


@pytest.mark.skipif(sys.platform != "linux", reason="shared libraries are Linux's")
def test_a_library_that_is_not_there_is_stood_in_for(tmp_path: Path) -> None:
    """A library that is linked to one of NVIDIA's loads without it; a call of that ends the process with a word."""
    for tool in ("gcc", "nm", "readelf"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    folder = tmp_path / "torch" / "lib"
    folder.mkdir(parents=True)
    their, our = tmp_path / "libcudnn.so.9", folder / "libtorch_python.so"
    _compile("int cudnnCreate(void) { return 0; }", their, version="libcudnn.so.9")
    _compile(
        "int cudnnCreate(void); int call(void) { return cudnnCreate(); } int two(void) { return 2; }", our, str(their)
    )
    their.unlink()
    script = ROOT / "deploy" / "image" / "without_cuda.py"
    said = subprocess.run([sys.executable, script, tmp_path], capture_output=True, text=True, check=True)
    assert said.stdout == "stands in for libcudnn.so.9: 1 names\n"

    load = f"import ctypes, os; library = ctypes.CDLL({str(our)!r}, os.RTLD_NOW); "
    good = subprocess.run(
        [sys.executable, "-c", f"{load}print(library.two())"], capture_output=True, text=True, check=True
    )
    assert good.stdout == "2\n"
    bad = subprocess.run([sys.executable, "-c", f"{load}library.call()"], capture_output=True, text=True, check=False)
    assert bad.returncode < 0
    assert "cudnnCreate was called" in bad.stderr


def _compile(code: str, target: Path, *links: str, version: str = "") -> None:
    script = target.with_suffix(".map")
    script.write_text(f"{version} {{ global: *; }};", encoding="utf-8")
    named = [f"-Wl,-soname,{target.name}", f"-Wl,--version-script,{script}", "-Wl,-rpath,$ORIGIN"]
    command = ["gcc", "-shared", "-fPIC", *named, "-o", str(target), "-x", "c", "-", "-x", "none", *links]
    subprocess.run(command, input=code, text=True, check=True)
    script.unlink()
