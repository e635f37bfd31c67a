#!/usr/bin/env bash
# Builds an image without Docker, with Debian's buildah in a chroot: no daemon, no privileged container.
#   deploy/build_image.sh cpu [BASE_IMAGE]        # or cuda; the base is the Dockerfile's unless one is named
# Needs root or a user namespace. In the environment:
#   STORAGE  folder of buildah's images (default: its own)
#   CA       certificate authorities, where the network has its own (PEM)
#   PIP_CONF, UV_TOML   configuration of the installers, such as an index of your own
#   TORCH_INDEX   index with torch's CPU build
#   SOURCE, LICENSES   for the labels
set -euo pipefail
cd "$(dirname "$0")/.."
target=${1:?"which target: cpu or cuda"}
version=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
arguments=(
    --isolation chroot --network host --format docker --layers=false
    --file deploy/Dockerfile --target "$target" --tag "mm-orient-moderation:$version-$target"
    --build-arg VERSION="$version"
    --build-arg REVISION="$(git rev-parse HEAD 2>/dev/null || echo unknown)"
    --build-arg CREATED="$(date --utc +%Y-%m-%dT%H:%M:%SZ)"
    --build-arg SOURCE="${SOURCE:-unknown}" --build-arg LICENSES="${LICENSES:-Apache-2.0}"
    --build-arg TORCH_INDEX="${TORCH_INDEX:-}"
)
[ -z "${2:-}" ] || arguments+=(--build-arg BASE_IMAGE="$2")
[ -z "${CA:-}" ] || arguments+=(--secret id=ca,src="$CA")
[ -z "${PIP_CONF:-}" ] || arguments+=(--secret id=pip,src="$PIP_CONF")
[ -z "${UV_TOML:-}" ] || arguments+=(--secret id=uv,src="$UV_TOML")
storage=()
[ -z "${STORAGE:-}" ] || storage=(--root "$STORAGE/root" --runroot "$STORAGE/run")
exec buildah "${storage[@]}" --storage-driver vfs bud "${arguments[@]}" .
