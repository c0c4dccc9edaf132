# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Errors of poses against ground truth: pure functions on (frames, joints, dims) arrays, and the one table of them.

Units are those of the arrays (mm for 3D, pixels for 2D); Accel is per frame^2. Results have the arrays' type,
float64 for integers. A new metric is one row of METRICS, one function and its test: the evaluation, its table, its
files, the curves of training and the pictures all read the table.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from .pck import THRESHOLDS, pck
from .procrustes import procrustes_align

CHUNK_VALUES = 2**16  # coordinates aligned at once, so that they stay in the processor's cache


def _mean_length(vectors: np.ndarray) -> np.ndarray:
    """(L, K, D) -> (L,); several times as fast as numpy.linalg.norm over so short an axis."""
    return np.sqrt(np.einsum("lkd,lkd->lk", vectors, vectors)).mean(-1)


def mpjpe(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Mean per joint position error ("Protocol #1") of each frame: (L, K, D), (L, K, D) -> (L,)."""
    return _mean_length(predicted - truth)


def pampjpe(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """MPJPE after a similarity Procrustes alignment of each frame ("Protocol #2"): (L, K, D), (L, K, D) -> (L,)."""
    frames, joints, dims = truth.shape
    result = np.empty(frames, np.result_type(predicted, truth, np.float32))
    size = max(1, CHUNK_VALUES // max(1, joints * dims))
    for i in range(0, frames, size):
        rows = slice(i, i + size)
        result[rows] = mpjpe(procrustes_align(predicted[rows], truth[rows]), truth[rows])
    return result


def accel(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Acceleration error: mean over joints of |second difference of prediction - of truth|: (L, K, D) -> (L,).

    As published, the first and the last frame count as 0, so that a mean over the result divides by L.
    """
    error = predicted - truth
    result = np.zeros(len(error), np.result_type(error, np.float32))
    if len(error) > 2:
        result[1:-1] = _mean_length(error[:-2] - 2 * error[1:-1] + error[2:])
    return result


def mpvpe(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Mean per vertex position error of each frame: (L, V, 3), (L, V, 3) -> (L,)."""
    return mpjpe(predicted, truth)


def worst_frames(input_error: np.ndarray) -> np.ndarray:
    """Indices of the worst 1 % of frames by the input's MPJPE: sorted, from int(0.99 n) on; (n,) -> (m,)."""
    return np.argsort(input_error, kind="stable")[int(0.99 * len(input_error)) :]


@dataclass(frozen=True)
class Metric:
    """One row of the table.

    Attributes:
        name: its name in metrics.json, behind that of the method: smoothnet_mpjpe.
        function: what it computes, from what its space is given.
        label: its name for people.
        unit: "{}" stands for the unit of the poses, mm or pixel; "fraction" is 0 to 1.
        decimals: in tables.
        space: what it compares, a word of Facts.spaces.
            "joints": (predicted, truth), each (L, K, D), -> (L,), one number a frame.
            "vertices": the same of the surfaces of bodies, (L, V, 3); sequences come in parts.
            "boxes": (predicted, truth, bbox), the valid frames alone, (L, 4) the box -> (K,), one number a joint.
        curve: drawn over time and over epochs, and told after each epoch.
        worst: also told of the worst 1 % of frames by the input's MPJPE, as <name>_top1.
        padded: the first and last frame of a sequence count as 0; the mean without them is told as <name>_unpadded,
            and frames beside an invalid one do not count.
        higher_is_better: as for PCK.
    """

    name: str
    function: Callable[..., np.ndarray]
    label: str
    unit: str
    decimals: int
    space: str
    curve: bool = False
    worst: bool = False
    padded: bool = False
    higher_is_better: bool = False

    @property
    def per_frame(self) -> bool:
        """One number a frame; else one a joint for each sequence."""
        return self.space != "boxes"


METRICS: dict[str, Metric] = {
    row.name: row
    for row in (
        Metric("mpjpe", mpjpe, "MPJPE", "{}", 2, "joints", curve=True, worst=True),
        Metric("pampjpe", pampjpe, "PA-MPJPE", "{}", 2, "joints"),
        Metric("accel", accel, "Accel", "{}/frame^2", 2, "joints", curve=True, worst=True, padded=True),
        Metric("mpvpe", mpvpe, "MPVPE", "{}", 2, "vertices"),
        *(
            Metric(name, partial(pck, threshold=threshold), f"PCK@{threshold:g}", "fraction", 4, "boxes",
                   curve=name == "pck_005", higher_is_better=True)
            for name, threshold in THRESHOLDS.items()
        ),
    )
}  # fmt: skip


def metrics_of(*spaces: str) -> list[Metric]:
    """The rows that compare what is in `spaces`, in the order of the table."""
    return [row for row in METRICS.values() if row.space in spaces]


def measure(space: str, *arrays: np.ndarray) -> dict[str, np.ndarray]:
    """Every metric of a space: name -> values; what `arrays` are is said at Metric.space."""
    return {row.name: row.function(*arrays) for row in metrics_of(space)}


def columns() -> dict[str, tuple[str, int]]:
    """The columns of tables: the name behind a method's -> what people read, and its decimals."""
    rows = METRICS.values()
    return {
        **{row.name: (row.label, row.decimals) for row in rows},
        **{f"{row.name}_top1": (f"{row.label} worst 1%", row.decimals) for row in rows if row.worst},
        **{f"{row.name}_unpadded": (f"{row.label} unpadded", row.decimals) for row in rows if row.padded},
    }


def curve_metrics(summary: Mapping[str, float]) -> list[Metric]:
    """The rows to draw over time that `summary` (of evaluate.summarise) has of the network's output."""
    return [row for row in METRICS.values() if row.curve and f"smoothnet_{row.name}" in summary]


def headline(summary: Mapping[str, float]) -> float:
    """One number of the network's output in `summary`, lower is better: the first metric of the table that is there.

    That is MPJPE, or 1 - PCK@0.05; NaN where there is none.
    """
    for row in METRICS.values():
        value = summary.get(f"smoothnet_{row.name}")
        if value is not None:
            return 1 - value if row.higher_is_better else value
    return math.nan
