# What the launch scripts share; sourced by them, not run.
set -euo pipefail
TOOLS=$(dirname "${BASH_SOURCE[0]}")
PYTHON=${PYTHON:-python}

# launch_torch GPUS SCRIPT ARGUMENT...
# On several machines set NNODES, NODE_RANK, MASTER_ADDR and PORT on each.
launch_torch() {
    "$PYTHON" -m torch.distributed.run \
        --nnodes="${NNODES:-1}" \
        --node_rank="${NODE_RANK:-0}" \
        --master_addr="${MASTER_ADDR:-127.0.0.1}" \
        --master_port="${PORT:-29500}" \
        --nproc_per_node="$1" \
        "$TOOLS/$2" "${@:3}" --launcher pytorch
}

# launch_slurm PARTITION JOB SCRIPT ARGUMENT...
# GPUS, GPUS_PER_NODE, CPUS_PER_TASK and SRUN_ARGS change the defaults.
launch_slurm() {
    # shellcheck disable=SC2086  # SRUN_ARGS may hold several words.
    srun -p "$1" --job-name="$2" \
        --gres="gpu:${GPUS_PER_NODE:-8}" \
        --ntasks="${GPUS:-8}" \
        --ntasks-per-node="${GPUS_PER_NODE:-8}" \
        --cpus-per-task="${CPUS_PER_TASK:-5}" \
        --kill-on-bad-exit=1 ${SRUN_ARGS:-} \
        "$PYTHON" -u "$TOOLS/$3" "${@:4}" --launcher slurm
}
