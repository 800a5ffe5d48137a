#!/usr/bin/env bash
# Train with one process per GPU on this machine (per CPU process without one):
#   tools/dist_train.sh CONFIG NUM_PROCESSES [arguments of train.py]
set -euo pipefail

CONFIG=$1
GPUS=$2

exec "${PYTHON:-python}" -m torch.distributed.run \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" \
    --nproc_per_node="$GPUS" \
    "$(dirname "$0")/train.py" "$CONFIG" --launcher pytorch "${@:3}"
