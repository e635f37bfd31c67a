#!/bin/sh
# Installs what the worker needs, in the locked versions, without what only a GPU uses.
#   sh install_cpu.sh [INDEX with torch's CPU build]
set -eu
uv=/opt/uv/bin/uv
index=${1:-}
version=$(sed -n 's/^torch==\([^ ]*\).*/\1/p' requirements.lock)
only_gpu=$(sed -nE 's/^((nvidia|cuda)-[a-z0-9-]+|triton)==.*/\1/p' requirements.lock)
for name in $only_gpu; do echo "$name ; sys_platform == 'never'"; done > /tmp/overrides.txt

if [ -n "$index" ]; then
    $uv pip install --no-deps --index "$index" "torch==$version"
fi
$uv pip install --constraint requirements.lock --override /tmp/overrides.txt --requirements pyproject.toml
if [ -z "$index" ]; then
    # What torch asks when it starts; the rest is stood in for.
    $uv pip install --no-deps --constraint requirements.lock nvidia-cuda-runtime nvidia-cuda-cupti
    find "$VIRTUAL_ENV"/lib/python3*/site-packages/nvidia -name '*.so*' ! -name 'libcudart.so*' ! -name 'libcupti.so*' -delete
    "$VIRTUAL_ENV/bin/python" deploy/image/without_cuda.py "$VIRTUAL_ENV"/lib/python3*/site-packages
fi
rm /tmp/overrides.txt
