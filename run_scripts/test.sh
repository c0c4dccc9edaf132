#!/bin/bash
# One short training run on the device with mixed precision, one on the cpu in float32, and the comparison of their
# losses. Without an argument on sdaa; `bash run_scripts/test.sh cuda` or `cpu` runs it elsewhere. A second argument is
# the number of steps (100). It can be called from any folder.
set -euo pipefail
cd "$(dirname "$0")/.."
device=${1:-sdaa}
steps=${2:-100}
out=$(mktemp -d)

python data/make_demo.py --output "$out/poses" --train 20 --test 2 --frames 200 --seed 0
train() {
    python run_scripts/run_smoothnet.py --model_name smoothnet --cfg configs/h36m_fcn_3D.yaml --dataset_name demo \
        --estimator synthetic --body_representation 3D --slide_window_size 32 --batch_size 128 --step "$steps" \
        --logdir "$out/$1" --device "$@" --opts DATASET.BASE_DIR "$out/poses" TRAIN.VALIDATE False
}
train "$device" --autocast True --exp_name device 2>&1 | tee "$out/device.log"
mv "$out/$device" "$out/run_on_device"
train cpu 2>&1 | tee "$out/reference.log"
python run_scripts/loss.py --sdaa-log "$out/device.log" --cuda-log "$out/reference.log" --plot "$out/loss.png"
