# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Pictures of a training run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..evaluation.metrics import METRICS, curve_metrics
from ..utils.files import atomic_write


def plot_history(history: list[dict[str, Any]], path: Path) -> None:
    """Write the loss and, where there was an evaluation, MPJPE and Accel over the epochs as a PNG."""
    from matplotlib.figure import Figure  # the object interface needs no display and no global state

    rows = [(f"{row['dataset']}-{row['estimator']}", row["metrics"]) for row in history[-1].get("results", [])]
    found = {metric.name: metric for _, row in rows for metric in curve_metrics(row)}
    metrics = [name for name in METRICS if name in found]
    figure = Figure(figsize=(4.5 * (1 + len(metrics)), 3.6), layout="constrained")
    axes = figure.subplots(1, 1 + len(metrics), squeeze=False)[0]
    epochs = [entry["epoch"] for entry in history]
    losses = [entry["loss"] for entry in history]
    axes[0].plot(epochs, losses, marker=".", color="tab:blue")
    # That of the general smoother is a logarithm already.
    axes[0].set(title="training loss", xlabel="epoch", yscale="log" if min(losses) > 0 else "linear")
    for axis, metric in zip(axes[1:], metrics, strict=True):
        for i, (label, _) in enumerate(rows):
            values = [
                entry["results"][i]["metrics"].get(f"smoothnet_{metric}", float("nan"))
                for entry in history
                if entry.get("results")
            ]
            line = axis.plot(epochs[-len(values) :], values, marker=".", label=f"{label} SmoothNet")[0]
            if f"input_{metric}" in rows[i][1]:
                level = rows[i][1][f"input_{metric}"]
                axis.axhline(level, color=line.get_color(), linestyle="--", label=f"{label} input")
        axis.set(title=f"test {METRICS[metric].label}", xlabel="epoch")
        axis.legend(fontsize=8)
    for axis in axes:
        axis.grid(alpha=0.3)
    with atomic_write(path) as file:
        figure.savefig(file, format="png", dpi=110)
