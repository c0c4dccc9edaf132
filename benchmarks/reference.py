# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The published way to load, train and evaluate, as a plain loop, to measure against.

Written from a description of what the published code does, not from that code. No speed of it may be told as the
published code's own; it is the same work, done in the same order.

Known of the published code, and done here:
- poses lie as one float64 array a sequence; each sample is cut from its whole sequence, converted anew;
- the network runs in float32 on (B, C, W); the loss is in float64, because the ground truth is;
- forward and backward by autograd over the whole batch, dropout and LeakyReLU as modules of their own;
- Adam with amsgrad, no weight decay;
- evaluation takes one sequence after the other: all its windows at step 1 go through the network at once, and a Python
  loop over the windows adds them up; then the root is subtracted;
- metrics frame by frame, with an SVD in each frame for PA-MPJPE; Accel with a 0 at both ends of a sequence; the means
  are over the frames of all sequences.

Assumed, where nothing is known:
- "converted" is one copy of the array into a tensor, for the detections and for the ground truth;
- MPJPE and Accel of a frame are one call on its (K, 3) joints, without a loop over joints;
- windows of a sequence are views that one `stack` copies; samples of a batch are stacked by the default collation,
  in the process that trains;
- nothing is logged, drawn or written, and frames are never NaN.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from torch.utils.data import default_collate

Sequences = Sequence[np.ndarray]  # (L, C) float64 each


def sample(detected: Sequences, truth: Sequences, sequence: int, start: int, window: int) -> dict[str, torch.Tensor]:
    """One window, (W, C) float64 each, of a sequence that is converted as a whole."""
    x, y = torch.tensor(detected[sequence]), torch.tensor(truth[sequence])
    return {"x": x[start : start + window], "y": y[start : start + window]}


def loss_of(output: torch.Tensor, truth: torch.Tensor, w_accel: float = 0.1) -> torch.Tensor:
    """mean |out - gt| + w_accel x mean |difference of second differences|, of (B, C, W), in float64."""
    position = torch.mean(torch.abs(output - truth))
    bend_out = output[..., :-2] - 2 * output[..., 1:-1] + output[..., 2:]
    bend_truth = truth[..., :-2] - 2 * truth[..., 1:-1] + truth[..., 2:]
    return position + w_accel * torch.mean(torch.abs(bend_out - bend_truth))


def load_batch(
    detected: Sequences, truth: Sequences, items: Sequence[tuple[int, int]], window: int
) -> dict[str, torch.Tensor]:
    """The windows `items`, (sequence, first frame) each: two of (B, W, C) float64."""
    return default_collate([sample(detected, truth, sequence, start, window) for sequence, start in items])


def train_step(model: nn.Module, optimizer: torch.optim.Optimizer, batch: dict[str, torch.Tensor]) -> float:
    """One step; returns the loss before it."""
    loss = loss_of(model(batch["x"].float().permute(0, 2, 1)), batch["y"].permute(0, 2, 1))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return float(loss.detach())


def smooth(model: nn.Module, x: torch.Tensor, window: int) -> torch.Tensor:
    """The mean over all windows at step 1: (L, C) float32 -> the same."""
    with torch.no_grad():
        windows = torch.stack([x[start : start + window] for start in range(len(x) - window + 1)])
        smoothed = model(windows.permute(0, 2, 1)).permute(0, 2, 1)
    total, count = torch.zeros_like(x), torch.zeros(len(x), 1)
    for start in range(len(smoothed)):
        total[start : start + window] += smoothed[start]
        count[start : start + window] += 1
    return total / count


def evaluate(
    model: nn.Module, detected: Sequences, truth: Sequences, window: int, root: Sequence[int] = (0,)
) -> dict[str, float]:
    """The figures of input and network in mm; poses in metres, three coordinates a joint."""
    values: dict[str, list[float]] = {}
    for given, right in zip(detected, truth, strict=True):
        smoothed = smooth(model, torch.tensor(given).float(), window).numpy()
        target = _root_relative(right, root)
        for name, poses in (("input", given), ("smoothnet", smoothed)):
            joints = _root_relative(poses, root)
            found = {"mpjpe": mpjpe(joints, target), "pampjpe": pampjpe(joints, target), "accel": accel(joints, target)}
            for metric, numbers in found.items():
                values.setdefault(f"{name}_{metric}", []).extend(numbers)
    figures = {name: 1000 * float(np.mean(numbers)) for name, numbers in values.items()}
    worst = np.argsort(values["input_mpjpe"], kind="stable")[int(0.99 * len(values["input_mpjpe"])) :]
    for name in ("input", "smoothnet"):
        for metric in ("mpjpe", "accel"):
            figures[f"{name}_{metric}_top1"] = 1000 * float(np.array(values[f"{name}_{metric}"])[worst].mean())
    return figures


def _root_relative(poses: np.ndarray, root: Sequence[int]) -> np.ndarray:
    joints = poses.reshape(len(poses), -1, 3)
    return joints - joints[:, list(root)].mean(1, keepdims=True)


def mpjpe(predicted: np.ndarray, truth: np.ndarray) -> list[float]:
    """Of each frame: the mean over joints of the distance."""
    return [float(np.linalg.norm(p - t, axis=-1).mean()) for p, t in zip(predicted, truth, strict=True)]


def pampjpe(predicted: np.ndarray, truth: np.ndarray) -> list[float]:
    """The same after a similarity Procrustes alignment of each frame by an SVD."""
    return [float(np.linalg.norm(_align(p, t) - t, axis=-1).mean()) for p, t in zip(predicted, truth, strict=True)]


def _align(p: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Move, turn and scale (K, 3) joints to others (Umeyama 1991)."""
    x, y = p - p.mean(0), t - t.mean(0)
    u, sigma, vt = np.linalg.svd(x.T @ y)
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    return (sigma * signs).sum() / (x * x).sum() * x @ (u * signs) @ vt + t.mean(0)


def accel(predicted: np.ndarray, truth: np.ndarray) -> list[float]:
    """Of each frame: the mean over joints of |difference of second differences|; 0 for the first and the last."""
    numbers = [0.0]
    for i in range(1, len(predicted) - 1):
        p = predicted[i - 1] - 2 * predicted[i] + predicted[i + 1]
        t = truth[i - 1] - 2 * truth[i] + truth[i + 1]
        numbers.append(float(np.linalg.norm(p - t, axis=-1).mean()))
    return [*numbers, 0.0]
