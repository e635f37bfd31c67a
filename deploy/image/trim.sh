#!/bin/sh
# Takes out what serves those who compile against torch.
#   sh trim.sh VENV
set -eu
cd "$1"/lib/python3*/site-packages
rm -rf torch/include torch/share torch/bin/protoc* torch/lib/*.a nvidia/*/include nvidia/*/lib/*.a
