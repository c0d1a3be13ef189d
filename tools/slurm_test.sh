#!/usr/bin/env bash
# Test with Slurm:
#   tools/slurm_test.sh PARTITION JOB CONFIG CHECKPOINT [OPTION...]
source "$(dirname "$0")/_launch.sh"
launch_slurm "$1" "$2" test.py "${@:3}"
