#!/usr/bin/env bash
# Train on several GPUs: tools/dist_train.sh CONFIG GPUS [OPTION...]
source "$(dirname "$0")/_launch.sh"
launch_torch "$2" train.py "$1" "${@:3}"
