# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""What the evaluation keeps of a sequence, and how sequences become the published figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from .metrics import METRICS, Metric, worst_frames
from .pck import known_mean, pck_parts


@dataclass
class SequenceResult:
    """One sequence, by every method (input, smoothnet, filters).

    Attributes:
        index, name: which sequence of the data.
        valid: (L,) bool; frames that count.
        poses: method -> (L, K, D) in the metrics' space (mm or pixels), with "groundtruth" among them.
        values: method -> metric -> (L,) per frame; pck_* are (K,), the fraction of frames for each joint.
    """

    index: int
    name: str
    valid: np.ndarray
    poses: dict[str, np.ndarray]
    values: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)


def without_poses(result: SequenceResult) -> SequenceResult:
    """What the metrics need of a sequence; small enough to keep for all, and to send between processes."""
    return replace(result, poses={})


def with_values(result: SequenceResult, values: Mapping[str, dict[str, np.ndarray]]) -> SequenceResult:
    """The same sequence with the values of further methods."""
    return replace(result, values={**result.values, **values})


def summarise(results: Iterable[SequenceResult]) -> dict[str, float]:
    """Pool sequences into the published figures.

    Position metrics are means over all frames of all sequences (so long sequences weigh more); frames with NaN are
    left out for every method alike, and Accel leaves out their neighbours too. PCK is the unweighted mean over
    sequences and joints. `improvement_*` is smoothnet - input.

    Returns:
        `<method>_<metric>` for every method, `improvement_<metric>`, `*_accel_unpadded` (mean over inner frames),
        `input_/smoothnet_` `mpjpe_top1` and `accel_top1` (worst 1 % of frames by input MPJPE), frames, invalid_frames.
    """
    results = sorted(results, key=lambda result: result.index)
    summary: dict[str, float] = {}
    frames = _Frames(results)
    for method, first in results[0].values.items():
        for name in first:
            row, values = METRICS[name], [result.values[method][name] for result in results]
            figures = (
                _frame_figures(row, np.concatenate(values), frames) if row.per_frame else _joint_figures(row, values)
            )
            summary |= {f"{method}_{figure}": value for figure, value in figures.items()}
    methods = results[0].values
    if "input" in methods and "smoothnet" in methods:
        for name in methods["input"]:
            summary[f"improvement_{name}"] = summary[f"smoothnet_{name}"] - summary[f"input_{name}"]
        summary |= _worst_figures(results, frames)
    summary["frames"] = len(frames.valid)
    summary["invalid_frames"] = int((~frames.valid).sum())
    return summary


class _Frames:
    """Which frames of all sequences count: (n,) bool each."""

    def __init__(self, results: list[SequenceResult]) -> None:
        self.valid = np.concatenate([result.valid for result in results])
        self.calm = np.concatenate([_with_valid_neighbours(result.valid) for result in results])
        self.inner = np.concatenate([_inner(len(result.valid)) for result in results])


def _frame_figures(row: Metric, values: np.ndarray, frames: _Frames) -> dict[str, float]:
    """The means of (n,) values of all frames."""
    if not row.padded:
        return {row.name: _mean(values[frames.valid])}
    return {row.name: _mean(values[frames.calm]), f"{row.name}_unpadded": _mean(values[frames.calm & frames.inner])}


def _joint_figures(row: Metric, values: list[np.ndarray]) -> dict[str, float]:
    """The unweighted mean of (K,) values of each sequence, and by body part where the joints are JHMDB's."""
    fractions = np.stack(values)
    parts = pck_parts(fractions) if fractions.shape[1] == 15 else {}
    return {row.name: known_mean(fractions), **{f"{row.name}_{part}": value for part, value in parts.items()}}


def _worst_figures(results: list[SequenceResult], frames: _Frames) -> dict[str, float]:
    """What the metrics say of the worst 1 % of frames by the input's MPJPE; Accel of those that count in it."""
    if "mpjpe" not in results[0].values["input"]:
        return {}

    def pooled(method: str, name: str) -> np.ndarray:
        return np.concatenate([result.values[method][name] for result in results])

    worst = np.flatnonzero(frames.valid)[worst_frames(pooled("input", "mpjpe")[frames.valid])]
    calm = worst[frames.calm[worst]]
    rows = [METRICS[name] for name in results[0].values["input"] if METRICS[name].worst]
    return {
        f"{method}_{row.name}_top1": _mean(pooled(method, row.name)[calm if row.padded else worst])
        for method in ("input", "smoothnet")
        for row in rows
    }


def _mean(value: np.ndarray) -> float:
    return float(value.mean(dtype=np.float64)) if len(value) else float("nan")


def _with_valid_neighbours(valid: np.ndarray) -> np.ndarray:
    calm = valid.copy()
    calm[1:] &= valid[:-1]
    calm[:-1] &= valid[1:]
    return calm


def _inner(length: int) -> np.ndarray:
    inner = np.zeros(length, bool)
    inner[1:-1] = True
    return inner
