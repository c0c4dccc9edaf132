# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""What a crash, a kill or a full disk may not take: every checkpoint that exists loads, and a resume is exact."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
from pathlib import Path

import pytest
import torch
from helpers import SMALL, command, write_poses

from lib.models.checkpoints import load_model, save_checkpoint
from lib.models.smoothnet import SmoothNet
from lib.utils.errors import SmoothNetError
from lib.utils.files import atomic_write, write_text

DATA = ["--dataset_name", "toy", "--estimator", "est", "--body_representation", "3D", "--device", "cpu"]


def weights(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path, weights_only=True)["state_dict"]


def test_thirty_kills_and_the_weights_of_the_run_that_was_never_killed(tmp_path):
    base = write_poses(tmp_path / "poses")
    arguments = [
        *DATA, "--epoch", "12", "--batch_size", "8", "--resume", "auto",
        "--opts", "DATASET.BASE_DIR", str(base), *SMALL, "MODEL.DROPOUT", "0.25",
    ]  # fmt: skip
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    out = command("train_smoothnet.py", "--logdir", whole, *arguments)
    assert out.returncode == 0, out.stderr
    out = command("tests/slow/kill_training.py", killed, 30, 7, "--logdir", killed, *arguments)
    assert out.returncode == 0, out.stderr
    assert int(out.stdout.split()[0]) >= 10, "too few kills hit a running training to show anything"
    expected, left = weights(whole / "epoch_12.pth.tar"), weights(killed / "epoch_12.pth.tar")
    assert all(torch.equal(expected[key], left[key]) for key in expected)
    assert not list(killed.glob(".*.tmp"))


class Full:
    """A disk with room for `size` bytes, by the limit on file sizes: works without any privilege."""

    def __init__(self, size: int):
        self.size = size

    def __enter__(self):
        self.handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        self.limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.size, self.limits[1]))

    def __exit__(self, *exception):
        resource.setrlimit(resource.RLIMIT_FSIZE, self.limits)
        signal.signal(signal.SIGXFSZ, self.handler)


def checkpoint(value: float, hidden: int = 64) -> dict:
    model = SmoothNet(8, hidden_size=hidden, res_hidden_size=16, num_blocks=1)
    torch.nn.init.constant_(model.decoder.bias, value)
    return {"epoch": 1, "state_dict": model.state_dict()}


def test_running_out_of_room_leaves_the_previous_checkpoint(tmp_path):
    path = tmp_path / "checkpoint.pth.tar"
    save_checkpoint(path, checkpoint(1.0))
    with Full(4000), pytest.raises(SmoothNetError, match=r"cannot write .*checkpoint\.pth\.tar.*free space"):
        save_checkpoint(path, checkpoint(2.0))
    assert load_model(path)[0].decoder.bias[0].item() == 1.0
    assert os.listdir(tmp_path) == ["checkpoint.pth.tar"]


def test_a_full_disk_ends_training_with_one_sentence(tmp_path):
    """A tmpfs too small for a second checkpoint: the first stays whole and nothing half is left under a final name."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1200k", "tmpfs", disk], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.strip()}")
    try:
        base = write_poses(tmp_path / "poses")
        out = command(
            "train_smoothnet.py", *DATA, "--epoch", "30", "--batch_size", "8", "--logdir", disk / "run",
            "--opts", "DATASET.BASE_DIR", base, "MODEL.HIDDEN_SIZE", "64", "MODEL.RES_HIDDEN_SIZE", "32",
            "MODEL.NUM_BLOCK", "1", "MODEL.SLIDE_WINDOW_SIZE", "8",
        )  # fmt: skip
        assert out.returncode == 2, out.stderr
        assert "error: cannot write" in out.stderr and "Traceback" not in out.stderr
        left = list((disk / "run").glob("*.pth.tar"))
        assert left
        for path in left:
            load_model(path)
        assert not list((disk / "run").glob(".*.tmp"))
    finally:
        subprocess.run(["umount", disk], check=False)


def test_atomic_write_is_all_or_nothing(tmp_path):
    path = tmp_path / "table.md"
    write_text(path, "old")
    with pytest.raises(ValueError, match="half way"), atomic_write(path) as file:
        file.write(b"new, but")
        raise ValueError("half way")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["table.md"]


def test_a_folder_that_may_not_be_written(tmp_path):
    base = write_poses(tmp_path / "poses")
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    out = command("train_smoothnet.py", *DATA, "--logdir", blocked / "run", "--opts", "DATASET.BASE_DIR", base, *SMALL)
    assert out.returncode == 2
    assert "cannot create the run folder" in out.stderr and "--logdir" in out.stderr
