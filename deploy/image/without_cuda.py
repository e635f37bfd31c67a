"""Lets an installed torch run without NVIDIA's libraries, for an image that computes on a CPU.

    python without_cuda.py SITE_PACKAGES

PyPI's torch for Linux is the CUDA build. It computes on a CPU as it does with CUDA beside it, to the same bytes; but it
is linked to NVIDIA's libraries, and does not load without these 2 GB of which a CPU calls nothing. For each that is not
installed this writes a library of a few kilobytes that has the names which torch asks for, and ends the process with a
word if one is called. CUDA's runtime and profiler are asked when torch starts, and must be installed.

Needs gcc, nm and readelf. Does nothing to a torch that was built without CUDA.
"""

# ruff: noqa: INP001, S603, S607 - a script of the image's build
import subprocess
import sys
import tempfile
from pathlib import Path

_THEIRS = ("libcu", "libnccl", "libnv")
_C = """#include <stdio.h>
#include <stdlib.h>
static void end(const char *name) {
  fprintf(stderr, "torch: this image was built without CUDA, and %s was called\\n", name);
  abort();
}
"""


def symbols(library: Path, which: str) -> set[str]:
    """Return the dynamic symbols of a library: NAME, or NAME@VERSION."""
    said = subprocess.run(["nm", "-D", which, str(library)], check=True, capture_output=True, text=True).stdout
    return {line.split()[-1].replace("@@", "@") for line in said.splitlines()}


def needed(library: Path) -> list[str]:
    """Return the libraries that a library is linked to."""
    said = subprocess.run(["readelf", "-d", str(library)], check=True, capture_output=True, text=True).stdout
    return [line.split("[")[1].rstrip("]") for line in said.splitlines() if "(NEEDED)" in line]


def linked(start: Path, installed: dict[str, Path]) -> tuple[set[Path], set[str]]:
    """Return the installed libraries that are loaded with one, and NVIDIA's that are missing."""
    loaded: set[Path] = set()
    missing: set[str] = set()
    waiting = [start]
    while waiting:
        library = waiting.pop()
        loaded.add(library)
        for name in needed(library):
            if name in installed:
                waiting += {installed[name]} - loaded
            elif name.startswith(_THEIRS):
                missing.add(name)
    return loaded, missing


def asked_of(soname: str, asked: set[str]) -> set[str]:
    """Return the symbols that are asked of a library: it is their version, or the start of their names.

    libcudnn.so.9: cudnnCreate@libcudnn.so.9; libnvshmem_host.so.3: nvshmem_free@NVSHMEM; libnccl.so.2: ncclSend.
    """
    stem = soname.removeprefix("lib").partition(".")[0].partition("_")[0].lower()
    found = set()
    for symbol in asked:
        name, _, version = symbol.partition("@")
        if version in {soname, stem.upper()} or (not version and name.lower().startswith(stem)):
            found.add(symbol)
    return found


def make_stub(target: Path, asked: set[str]) -> None:
    """Write a library of the target's name that has the symbols."""
    names = sorted(symbol.partition("@")[0] for symbol in asked)
    versions = {symbol.partition("@")[2] for symbol in asked}
    with tempfile.TemporaryDirectory() as folder:
        source, script = Path(folder, "stub.c"), Path(folder, "stub.map")
        source.write_text(_C + "".join(f'void {name}(void) {{ end("{name}"); }}\n' for name in names), encoding="utf-8")
        exported = "".join(f"{name}; " for name in names)
        script.write_text(f"{''.join(versions)} {{ global: {exported}local: *; }};\n", encoding="utf-8")
        command = ["gcc", "-shared", "-fPIC", "-s", f"-Wl,-soname,{target.name}", f"-Wl,--version-script,{script}"]
        subprocess.run([*command, "-o", str(target), str(source)], check=True)


def main() -> None:
    """Write what is missing, and say it."""
    packages = Path(sys.argv[1])
    folder = packages / "torch" / "lib"
    installed = {path.name: path for path in packages.rglob("*.so*")}
    loaded, missing = linked(folder / "libtorch_python.so", installed)
    if not missing:
        print("torch finds all that it is linked to: nothing to stand in for")
        return
    asked = set[str]().union(*(symbols(library, "--undefined-only") for library in loaded))
    given = set[str]().union(*(symbols(library, "--defined-only") for library in loaded))
    for soname in sorted(missing):
        wanted = asked_of(soname, asked - given)
        make_stub(folder / soname, wanted)
        print(f"stands in for {soname}: {len(wanted)} names")


if __name__ == "__main__":
    main()
