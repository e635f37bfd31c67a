#!/bin/sh
# Builds Helm from its Go module, once, and prints where the program lies.
#
#   sh tests/kubernetes/build_helm.sh [FOLDER]     (the user's cache folder, unless FOLDER says otherwise)
#
# Took 7 minutes at the lowest priority on 2 cores that other work kept busy (load 7 to 11), one job at a time (JOBS=1).
# Needs Go on the PATH (1.26, or one from 1.21 on, which fetches the release that the module
# asks for). Go gets the modules from GOPROXY. What the build leaves behind in its own caches is for Go to keep.
set -eu
version=v3.22.0
root=${XDG_CACHE_HOME:-$HOME/.cache}/mm-orient-moderation/tools
folder=${1:-$root/helm-$version}
if [ ! -x "$folder/helm" ]; then
    command -v go >/dev/null || { echo "no go on the PATH" >&2; exit 1; }
    mkdir -p "$folder"
    # Without them Helm takes itself for a client of Kubernetes 1.20, and refuses charts that need a newer one.
    names="-X helm.sh/helm/v3/internal/version.version=$version"
    names="$names -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1 -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=37"
    GOBIN=$folder.draft GOFLAGS="${GOFLAGS:+$GOFLAGS }-p=${JOBS:-2}" CGO_ENABLED=0 \
        go install -trimpath -ldflags="-s -w $names" "helm.sh/helm/v3/cmd/helm@$version" >&2
    mv "$folder.draft/helm" "$folder/helm"
    rmdir "$folder.draft"
fi
echo "$folder/helm"
