# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Small data and commands that several test files use."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

from lib.models.checkpoints import save_checkpoint
from lib.models.smoothnet import ENCODER_SLOPE, SmoothNet

ROOT = Path(__file__).resolve().parent.parent


def object_array(items: list) -> np.ndarray:
    array = np.empty(len(items), object)
    for i, item in enumerate(items):
        array[i] = item
    return array


def write_npz(path: Path, **arrays) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **arrays)
    return path


def names(lengths: list[int]) -> np.ndarray:
    return object_array([[f"sequence{i}/{frame:05d}.jpg" for frame in range(n)] for i, n in enumerate(lengths)])


def motion(lengths: list[int], channels: int, seed: int = 0, noise: float = 0.02) -> tuple[list, list]:
    """Smooth curves and the same with noise."""
    rng = np.random.default_rng(seed)
    truth = []
    for n in lengths:
        t = np.arange(n)[:, None] / 30
        truth.append(
            0.3 * np.sin(2 * np.pi * rng.uniform(0.2, 1, channels) * t + rng.uniform(0, 6, channels))
            + rng.normal(size=channels) * 0.3
        )
    return truth, [x + rng.normal(size=x.shape) * noise for x in truth]


def write_poses(
    base: Path,
    dataset: str = "toy",
    estimator: str = "est",
    representation: str = "3D",
    lengths: tuple[int, ...] = (40, 30),
    channels: int = 9,
    phases: tuple[str, ...] = ("train", "test"),
    seed: int = 0,
    edit=lambda truth, detected: None,
) -> Path:
    """A dataset in the official layout; `edit` may change the lists of sequences in place."""
    key = {"3D": "joints_3d", "2D": "joints_2d", "smpl": "pose"}[representation]
    folder = base / f"{dataset}_{estimator}_{representation}"
    for number, phase in enumerate(phases):
        truth, detected = motion(list(lengths), channels, seed + number)
        edit(truth, detected)
        imgname = names([len(x) for x in truth])
        write_npz(
            folder / f"groundtruth/{dataset}_gt_{representation}_{phase}.npz",
            imgname=imgname, **{key: object_array(truth)},
        )  # fmt: skip
        write_npz(
            folder / f"detected/{dataset}_{estimator}_{representation}_{phase}.npz",
            imgname=names([len(x) for x in detected]), **{key: object_array(detected)},
        )  # fmt: skip
    return base


def write_checkpoint(path: Path, window: int = 8, **sizes) -> Path:
    """An untrained small network."""
    model = SmoothNet(window, hidden_size=16, res_hidden_size=8, num_blocks=2, **sizes)
    save_checkpoint(path, {"epoch": 1, "state_dict": model.state_dict()})
    return path


def write_averaging_checkpoint(path: Path, window: int = 8) -> Path:
    """A network that gives the mean of three neighbouring frames (of two at the ends of its window), exactly.

    leaky(x) - leaky(-x) = (1 + slope) x, so a network of LeakyReLUs can be linear.
    """
    model = SmoothNet(window, hidden_size=2 * window, res_hidden_size=4, num_blocks=1)
    near = (np.abs(np.subtract.outer(np.arange(window), np.arange(window))) <= 1).astype(np.float32)
    mean = torch.from_numpy(near / near.sum(1, keepdims=True))
    state = {name: torch.zeros_like(value) for name, value in model.state_dict().items()}
    state["encoder.0.weight"] = torch.cat([torch.eye(window), -torch.eye(window)])
    state["decoder.weight"] = torch.cat([mean, -mean], dim=1) / (1 + ENCODER_SLOPE)
    save_checkpoint(path, {"epoch": 1, "state_dict": state})
    return path


SMALL = [
    *("MODEL.HIDDEN_SIZE", "16", "MODEL.RES_HIDDEN_SIZE", "8", "MODEL.NUM_BLOCK", "1"),
    *("MODEL.SLIDE_WINDOW_SIZE", "8"),
]


@functools.cache
def nursery() -> subprocess.Popen:
    """The process whose forks run commands; it ends with this one, whose end closes its input."""
    return subprocess.Popen(
        [sys.executable, ROOT / "tests/nursery.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def command(script: str | Path, *arguments: object, env: dict | None = None, cwd: Path = ROOT, **options):
    """Run a script of the repository as a user would, with one thread: status, stdout and stderr.

    It is a fork that spares the imports, or a new interpreter where there are further options, or variables that
    count as an interpreter or PyTorch starts.
    """
    argv, env = list(map(str, arguments)), env or {}
    if options or any(name.startswith(("PYTHON", "OMP_", "ATEN_", "ONEDNN_")) for name in env):
        return subprocess.run(
            [sys.executable, str(ROOT / script), *argv],
            capture_output=True, text=True, cwd=cwd, env={**os.environ, "OMP_NUM_THREADS": "1", **env}, **options,
        )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: os.path.join(folder, name) for name in ("out", "err")}
        request = {"script": str(ROOT / script), "argv": argv, "cwd": str(cwd), "env": env, **paths}
        nursery().stdin.write(json.dumps(request) + "\n")
        nursery().stdin.flush()
        status = int(nursery().stdout.readline())
        texts = [Path(path).read_text() for path in paths.values()]
    return subprocess.CompletedProcess([script, *argv], status, *texts)


def read_json(path: Path) -> dict:
    return json.loads(path.read_text())
