# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""A picture of what smoothing changed."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..formats.recording import Recording
from ..utils.errors import SmoothNetError
from ..utils.files import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# fonts with Chinese, Japanese and Korean letters, for names in them where one is installed
EASTERN = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Source Han Sans SC",
    "WenQuanYi Micro Hei",
    "Microsoft YaHei",
    "PingFang SC",
    "Hiragino Sans GB",
    "SimHei",
)


def plot_change(
    recording: Recording, smoothed: list[np.ndarray], path: Path, fps: float | None = None, joints: int = 4
) -> None:
    """Write a PNG with the joints that changed most, one row a joint, one column a coordinate.

    The track with most points is shown, the change is the RMS over time. Missing frames leave gaps in the
    lines.
    """
    try:
        from matplotlib import font_manager, rc_context
    except ImportError as error:
        raise SmoothNetError("--plot needs matplotlib: pip install matplotlib") from error
    here = {font.name for font in font_manager.fontManager.ttflist}
    family = ["DejaVu Sans", *(name for name in EASTERN if name in here)]
    with rc_context({"font.family": family}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # of letters that no font here has: boxes stand for them
        _picture(recording, smoothed, fps, joints).savefig(path, dpi=100)


def _picture(recording: Recording, smoothed: list[np.ndarray], fps: float | None, joints: int) -> Figure:
    from matplotlib.figure import Figure

    sizes = [np.isfinite(values).sum() for values in smoothed]
    track, values = recording.tracks[int(np.argmax(sizes))], smoothed[int(np.argmax(sizes))]
    change = np.sqrt(np.nanmean(np.where(np.isfinite(values), values - track.points, 0) ** 2, axis=(0, 2)))
    chosen = np.argsort(-change, kind="stable")[:joints]
    dims = values.shape[2]
    labels = "xyz" if dims <= 3 else [f"number {d}" for d in range(dims)]
    times = (track.start + np.arange(len(values))) / (fps or 1.0)
    figure = Figure(figsize=(4.5 * dims, 2.0 * len(chosen) + 0.6), layout="constrained")
    axes = figure.subplots(len(chosen), dims, squeeze=False, sharex=True)
    shown = np.where(np.isfinite(values), track.points, np.nan)
    for row, joint in enumerate(chosen):
        names = recording.names or ()
        name = names[joint] if joint < len(names) else f"joint {joint}"
        for d in range(dims):
            axis = axes[row, d]
            axis.plot(times, shown[:, joint, d], color="0.6", linewidth=0.9, label="before")
            axis.plot(times, values[:, joint, d], color="tab:blue", linewidth=1.3, label="after")
            axis.set_ylabel(_drawable(f"{name} {labels[d]}"), parse_math=False)
    for axis in axes[-1]:
        axis.set_xlabel("second" if fps else "frame")
    axes[0, 0].legend(loc="best", fontsize="small")
    title = f"{printable(recording.path.name)}: the joints that changed most"
    figure.suptitle(_drawable(title), parse_math=False)
    return figure


def _drawable(text: str) -> str:
    """What no font has: lone surrogates escaped, control characters as "?"."""
    shown = text.encode("utf-8", "backslashreplace").decode()
    return "".join(character if character.isprintable() else "?" for character in shown)
