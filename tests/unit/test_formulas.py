# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Training as the paper has it, against the same written out in plain PyTorch; and what may not change its numbers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers import ROOT, SMALL, write_poses
from torch.nn import functional as F

from lib.config import load_config
from lib.dataset.named import load_all
from lib.dataset.windows import epoch_order, training_windows
from lib.models.smoothnet import SmoothNet
from lib.training.loop import train

NAMED = {"DATASET_NAME": "toy", "ESTIMATOR": "est", "BODY_REPRESENTATION": "3D", "DEVICE": "cpu"}


def settings(base: Path, *opts: str):
    return load_config(None, {**NAMED, "DATASET.BASE_DIR": str(base)}, [*SMALL, "TRAIN.VALIDATE", "False", *opts])


@pytest.mark.parametrize("w_accel", ["1.0", "0.1"])
def test_training_is_adam_with_amsgrad_on_the_published_loss_with_a_rate_that_decays_each_epoch(tmp_path, w_accel):
    """Zeng et al., section 4.3 and the published settings; steps large enough for amsgrad to matter."""
    base = write_poses(tmp_path / "poses")
    options = ["MODEL.DROPOUT", "0.0", "TRAIN.EPOCH", "4", "TRAIN.BATCH_SIZE", "8", "TRAIN.LR", "0.05",
               "TRAIN.LRDECAY", "0.5", "LOSS.W_ACCEL", w_accel, "LOSS.W_POS", "0.7"]  # fmt: skip
    cfg = settings(base, *options)
    run = tmp_path / "run"
    run.mkdir()
    assert train(cfg, load_all(cfg, "train"), [], run, torch.device("cpu"), progress=False)
    trained = torch.load(run / "checkpoint.pth.tar", weights_only=True)["state_dict"]

    windows = training_windows(load_all(cfg, "train")[0], 8)
    torch.manual_seed(cfg.SEED_VALUE)
    model = SmoothNet(8, None, 16, 8, 1, 0.0)
    optimizer = torch.optim.Adam(model.parameters(), 0.05, betas=(0.9, 0.999), eps=1e-8, amsgrad=True)
    for epoch in range(4):
        for group in optimizer.param_groups:
            group["lr"] = 0.05 * 0.5**epoch
        for part in epoch_order(len(windows), cfg.SEED_VALUE, epoch).split(8):
            x, truth, _ = windows.batch(part)
            y = model(x)
            position = F.l1_loss(y, truth)
            acceleration = F.l1_loss(y.diff(n=2, dim=-1), truth.diff(n=2, dim=-1))
            optimizer.zero_grad()
            (0.7 * position + float(w_accel) * acceleration).backward()
            optimizer.step()
    for key, value in model.state_dict().items():
        torch.testing.assert_close(trained[key], value, rtol=2e-3, atol=2e-4)


@pytest.mark.slow
def test_neither_hash_seed_nor_workers_nor_a_second_run_change_a_bit(tmp_path):
    base = write_poses(tmp_path / "poses")
    weights = []
    for seed, workers in (("0", "0"), ("1", "2"), ("12345", "0")):
        run = tmp_path / f"run{seed}"
        command = [
            sys.executable, ROOT / "train_smoothnet.py", "--dataset_name", "toy", "--estimator", "est",
            "--body_representation", "3D", "--device", "cpu", "--epoch", "2", "--batch_size", "8", "--logdir", run,
            "--num_workers", workers, "--opts", "DATASET.BASE_DIR", base, *SMALL, "MODEL.DROPOUT", "0.25",
            "AUGMENT.FLIP", "0.5",
        ]  # fmt: skip
        env = {**os.environ, "PYTHONHASHSEED": seed, "OMP_NUM_THREADS": "1"}
        out = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=env, check=False)
        assert out.returncode == 0, out.stderr
        content = torch.load(run / "checkpoint.pth.tar", weights_only=True)
        weights.append((content["state_dict"], content["performance"]))
    for state, performance in weights[1:]:
        assert all(torch.equal(value, weights[0][0][key]) for key, value in state.items())
        assert performance == weights[0][1]
