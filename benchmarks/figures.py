# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The pictures of README.md and docs: what the default network does to fast motion, and what it lets through.

    python benchmarks/figures.py [--output docs]

Writes fast_motion.png (a generated punch: the input, the truth, a classical smoother, the Kinect network that was once
the default, and the default), response.png (how much of a sinusoid each of them keeps) and windows.png (what each
window says of a foot that MediaPipe found in a video, and their mean).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run as a script, only this file's own folder is on the path

from lib.filters.smoother import classical_smoother  # noqa: E402
from lib.inference import Smoother  # noqa: E402
from lib.utils.files import atomic_write  # noqa: E402

from motion import JOINTS, body_size, generated  # noqa: E402  # isort: skip

FPS = 30.0
NOISE = 0.04  # of the body's size
LITTLE_NOISE = 0.005
SHOWN = (4.1, 6.0)  # seconds of the picture
FREQUENCIES = np.array([0.25, 0.5, 0.75, 1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10])  # Hz
FOOT, FOOT_FRAMES, WINDOW_STEP = 31, (95, 165), 8  # a landmark of the sample, and what of it is drawn
COLORS = {"RTS": "tab:green", "Kinect weights": "tab:orange", "default": "tab:blue"}
STYLES: dict[str, dict[str, Any]] = {
    "input": {"color": "0.7", "marker": ".", "linewidth": 0.8},
    **{name: {"color": color, "linewidth": 1.6} for name, color in COLORS.items()},
}
STYLES["default"]["linestyle"] = (0, (4, 2))  # so that what it covers can be seen

Method = Callable[[np.ndarray], np.ndarray]  # (T, K, D) -> the same, at FPS


def methods() -> dict[str, Method]:
    """What is compared, by the names of the legend."""
    return {
        "RTS": classical_smoother("rts", fps=FPS),
        "Kinect weights": Smoother.from_checkpoint("uiprmd_kinect_3D", window=32),
        "default": Smoother.from_checkpoint(fps=FPS),
    }


def fast_motion(path: Path) -> None:
    """A hand that boxes, behind much jitter and behind little: its height, and below how far each method is off. The
    legends have the error of all joints over the whole clip."""
    from matplotlib.figure import Figure

    clip = next(clip for clip in generated("report") if clip.fast)
    truth = clip.at(FPS, 0.0, 10.0)
    joint = JOINTS.index("right_wrist")
    time = np.arange(len(truth)) / FPS
    shown = (time >= SHOWN[0]) & (time <= SHOWN[1])
    figure = Figure(figsize=(11, 6.4), layout="constrained")
    places, distances = figure.subplots(2, 2, sharex=True, sharey="row", height_ratios=(3, 2))
    for place, distance, noise in zip(places, distances, (NOISE, LITTLE_NOISE), strict=True):
        jitter = np.random.default_rng(0).standard_normal(truth.shape)
        detected = truth + noise * body_size(truth) * jitter
        place.plot(time[shown], truth[shown, joint, 1] / 1000, color="black", linewidth=2.2, label="truth")
        shapes = {"input": detected, **{name: smooth(detected) for name, smooth in methods().items()}}
        for name, points in shapes.items():
            error = np.linalg.norm(points - truth, axis=-1)
            place.plot(
                time[shown], points[shown, joint, 1] / 1000, label=f"{name}, {error.mean():.1f} mm", **STYLES[name]
            )
            distance.plot(time[shown], error[shown, joint], **STYLES[name])
        place.set_title(f"boxing and kicking, jitter of {100 * noise:g} % of the body")
        place.legend(loc="upper left", fontsize="small")
        distance.set(xlabel="seconds", ylim=(0, 80))
    for axis in (*places, *distances):
        axis.grid(alpha=0.3)
    places[0].set_ylabel("height of the right wrist, m")
    distances[0].set_ylabel("its error, mm")
    with atomic_write(path) as file:
        figure.savefig(file, format="png", dpi=120)


def response(path: Path) -> None:
    """How much of a sinusoid that all joints follow is kept: without noise, and with NOISE of the body's size."""
    from matplotlib.figure import Figure

    rng = np.random.default_rng(1)
    time = np.arange(600) / FPS
    body = 250 * rng.standard_normal((1, 17, 3))
    size = body_size(body)
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    for axis, noise in zip(figure.subplots(1, 2, sharey=True), (0.0, NOISE), strict=True):
        for name, smooth in methods().items():
            kept = []
            for frequency in FREQUENCIES:
                phases = rng.uniform(0, 2 * np.pi, (1, 17, 3))
                wave = 0.3 * size * np.sin(2 * np.pi * frequency * time[:, None, None] + phases)
                smoothed = smooth(body + wave + noise * size * rng.standard_normal(wave.shape)) - body
                kept.append((smoothed * wave)[30:-30].sum() / (wave**2)[30:-30].sum())
            axis.plot(FREQUENCIES, kept, marker=".", color=COLORS[name], label=name)
        what = f"white noise of {100 * noise:.0f} % of the body" if noise else "clean"
        axis.set(xlabel="Hz", title=f"share of a sinusoid that is kept: {what}", ylim=(-0.05, 1.1))
        axis.grid(alpha=0.3)
        axis.legend(fontsize="small")
    with atomic_write(path) as file:
        figure.savefig(file, format="png", dpi=120)


def windows(path: Path) -> None:
    """One coordinate of an estimate, what every window alone makes of it, and the mean over all of them."""
    from matplotlib.figure import Figure

    with np.load(ROOT / "data/samples/sports2d_blazepose.npz", allow_pickle=False) as file:
        points = file["keypoints_3d_m"].astype(np.float64)
    smooth = Smoother.from_checkpoint(fps=FPS)
    first, last = FOOT_FRAMES
    shown = np.arange(first, last)
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    axis = figure.subplots()
    axis.plot(shown / FPS, points[shown, FOOT, 0], color="0.6", marker=".", linewidth=0.8, label="input")
    for number, start in enumerate(range(first, last - smooth.window + 1, WINDOW_STEP)):
        frames = np.arange(start, start + smooth.window)
        alone = smooth(points[frames])[:, FOOT, 0]  # a recording of W frames is one window
        label = f"windows of {smooth.window} frames, each alone" if not number else None
        axis.plot(frames / FPS, alone, color="tab:orange", linewidth=1, alpha=0.8, label=label)
    axis.plot(
        shown / FPS, smooth(points)[shown, FOOT, 0], color="tab:blue", linewidth=2.2, label="their mean: the result"
    )
    axis.set(xlabel="seconds", ylabel="m, to the side", title="A foot, as BlazePose found it in a video")
    axis.legend(fontsize="small")
    axis.grid(alpha=0.3)
    with atomic_write(path) as file:
        figure.savefig(file, format="png", dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, default=ROOT / "docs", help="folder (docs)")
    output = parser.parse_args().output
    output.mkdir(parents=True, exist_ok=True)
    fast_motion(output / "fast_motion.png")
    response(output / "response.png")
    windows(output / "windows.png")


if __name__ == "__main__":
    main()
