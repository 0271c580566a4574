#!/bin/sh
# Synthesises, trains and packs. MINUTES is the length of the training on one large GPU; a CPU needs days.
set -eu
cd "$(dirname "$0")"
work=${WORK:-work}
python synthesise.py "$work/shards" --utterances "${UTTERANCES:-200000}"
python train.py "$work/shards" "$work/segue-demo-en.bin" --seconds $((${MINUTES:-14} * 60)) --seed 1
python pack.py "$work/segue-demo-en.bin"
