#!/usr/bin/env bash
# Train with Slurm: tools/slurm_train.sh PARTITION JOB CONFIG [OPTION...]
source "$(dirname "$0")/_launch.sh"
launch_slurm "$1" "$2" train.py "${@:3}"
