#!/bin/sh
# Builds a control plane from its Go modules, once, and prints where the programs lie.
#
#   sh tests/kubernetes/build.sh             etcd, kube-apiserver, -controller-manager, -scheduler, kubectl, kwok
#   sh tests/kubernetes/build.sh --keda      and KEDA's operator and metrics adapter, with the scalers that we use
#
# Versions and checksums are those of tools/*/go.mod and go.sum. The programs lie in the user's cache folder; each is
# built where it is missing, so that a build that was stopped goes on where it was. Needs Go on the PATH (1.26, or one
# from 1.21 on, which fetches the release that the modules ask for); Go gets the modules from GOPROXY. What the build
# leaves in its own caches is for Go to keep. JOBS=1 keeps one core free.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
version_in() { sed -n "s|^\(require\)\{0,1\}[[:space:]]*$2 \(v[0-9][^ ]*\).*|\2|p" "$here/tools/$1/go.mod" | head -n 1; }

kubernetes=$(version_in cluster k8s.io/kubernetes)
folder=${XDG_CACHE_HOME:-$HOME/.cache}/mm-orient-moderation/tools/kubernetes-$kubernetes
minor=${kubernetes#v1.} minor=${minor%%.*}
# Without them Kubernetes takes itself for a version without a name.
names="-X k8s.io/component-base/version.gitVersion=$kubernetes -X k8s.io/component-base/version.gitTreeState=clean"
names="$names -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=$minor"

in_module() {
    module=$1
    shift
    (cd "$here/tools/$module" && CGO_ENABLED=0 GOFLAGS="${GOFLAGS:+$GOFLAGS }-mod=readonly" go "$@")
}

program() { # MODULE NAME PACKAGE [OPTION]
    test ! -x "$folder/$2" || return 0
    begun=$(date +%s)
    in_module "$1" build -p="${JOBS:-2}" -trimpath -buildvcs=false ${4:-} -ldflags="-s -w $names" \
        -o "$folder/$2.draft" "$3" >&2
    mv "$folder/$2.draft" "$folder/$2"
    echo "$2: $((($(date +%s) - begun + 30) / 60)) minutes, load $(cut -d ' ' -f 1 /proc/loadavg 2>/dev/null)" >&2
}

taken() { # NAME MODULE PACKAGE FILES…: data of a module, as one file of YAML documents
    target=$folder/$1 module=$2 package=$3
    shift 3
    test ! -f "$target" || return 0
    where=$(in_module "$module" mod download -json "$package" | sed -n 's|^[[:space:]]*"Dir": "\(.*\)",$|\1|p')
    for file in "$@"; do
        echo "---"
        cat "$where/$file"
    done >"$target.draft"
    mv "$target.draft" "$target"
}

few_scalers() { # Prints a go.mod by which KEDA has no scalers but kafka, cpu and memory.
    # The others' clients are half of the packages that an operator is built from. What is left is as KEDA has it.
    source=$folder/keda-source
    from=$(in_module keda list -m -f '{{.Dir}}' github.com/kedacore/keda/v2)
    rm -rf "$source"
    cp -r "$from" "$source"
    chmod -R u+w "$source"
    for file in "$source"/pkg/scalers/*.go; do
        case ${file##*/} in
            scaler.go | kafka_scaler.go | cpu_memory_scaler.go) ;;
            *) rm "$file" ;;
        esac
    done
    # Of the switch over all types of triggers, the cases of these and the default.
    builder=pkg/scaling/scalers_builder.go
    awk '/TRIGGERS-START/ {within = 1} /TRIGGERS-END/ {within = 0}
        within && /^\t(case|default)/ {kept = /"(kafka|cpu|memory)"|default/; begun = 1}
        !within || !begun || kept' "$from/$builder" >"$source/$builder"
    cp "$here/tools/keda/go.mod" "$folder/keda.mod"
    cp "$here/tools/keda/go.sum" "$folder/keda.sum"
    go mod edit -replace "github.com/kedacore/keda/v2=$source" "$folder/keda.mod"
    echo "$folder/keda.mod"
}

command -v go >/dev/null || { echo "no go on the PATH" >&2; exit 1; }
mkdir -p "$folder"
program cluster kube-apiserver k8s.io/kubernetes/cmd/kube-apiserver
program cluster etcd go.etcd.io/etcd/server/v3
program cluster kube-controller-manager k8s.io/kubernetes/cmd/kube-controller-manager
program cluster kube-scheduler k8s.io/kubernetes/cmd/kube-scheduler
program cluster kubectl k8s.io/kubernetes/cmd/kubectl
program keda kwok sigs.k8s.io/kwok/cmd/kwok
taken kwok-stages.yaml keda sigs.k8s.io/kwok kustomize/stage/node/fast/node-initialize.yaml \
    kustomize/stage/pod/fast/pod-ready.yaml kustomize/stage/pod/fast/pod-complete.yaml \
    kustomize/stage/pod/fast/pod-delete.yaml
taken keda-crds.yaml keda github.com/kedacore/keda/v2 config/crd/bases/keda.sh_scaledobjects.yaml \
    config/crd/bases/keda.sh_scaledjobs.yaml config/crd/bases/keda.sh_triggerauthentications.yaml \
    config/crd/bases/keda.sh_clustertriggerauthentications.yaml \
    config/crd/bases/eventing.keda.sh_cloudeventsources.yaml \
    config/crd/bases/eventing.keda.sh_clustercloudeventsources.yaml
# Not a tool: a whole module for the sake of one file.
taken prometheus-crds.yaml keda github.com/prometheus-operator/prometheus-operator@v0.93.1 \
    example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml
if [ "${1:-}" = "--keda" ]; then
    reduced=$(few_scalers)
    program keda keda-operator github.com/kedacore/keda/v2/cmd/operator "-modfile=$reduced"
    program keda keda-metrics github.com/kedacore/keda/v2/cmd/adapter "-modfile=$reduced"
fi
echo "$folder"
