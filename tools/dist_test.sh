#!/usr/bin/env bash
# Test on several GPUs: tools/dist_test.sh CONFIG CHECKPOINT GPUS [OPTION...]
source "$(dirname "$0")/_launch.sh"
launch_torch "$3" test.py "$1" "$2" "${@:4}"
