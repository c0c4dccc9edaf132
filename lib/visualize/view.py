# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""From the pose's space to pixels, for pictures and the page alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from .clip import Clip

YAW, PITCH = np.radians(-28.0), np.radians(14.0)  # where the fixed camera stands: a little to the side, above


@dataclass(frozen=True)
class View:
    """One camera: parallel projection with the same scale on every axis; it stands still or goes along.

    pixel = size / 2 + scale * ((point - centre) @ rotation.T)[:2], with y turned down where up points up.
    """

    rotation: np.ndarray  # (2 or 3, dims): rows right, up (2D: down), to the viewer
    centre: np.ndarray  # (dims,)
    scale: float  # pixels a unit
    width: int
    height: int
    floor: float | None = None  # height of the lowest joint along the up axis, 3D only
    path: np.ndarray | None = None  # (frames, dims): how far from `centre` it looks in each frame

    def at(self, frame: int) -> View:
        """The camera of one frame, standing still."""
        return self if self.path is None else replace(self, centre=self.centre + self.path[frame], path=None)

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(..., dims) -> pixels (..., 2) and depth (...), larger = nearer to the viewer.

        Of a camera that goes along, `points` are (frames, joints, dims).
        """
        centre = self.centre if self.path is None else self.centre + self.path[:, None]
        turned = (points - centre) @ self.rotation.T * self.scale
        flip = -1.0 if len(self.rotation) == 3 else 1.0
        pixels = np.stack([turned[..., 0] + self.width / 2, flip * turned[..., 1] + self.height / 2], axis=-1)
        depth = turned[..., 2] if len(self.rotation) == 3 else np.zeros(turned.shape[:-1])
        return pixels, depth


# Where people fill less than this share of the picture that shows all of their way, the camera goes along with them.
_TOO_SMALL = 0.4


def fit_view(clip: Clip, width: int, height: int, margin: float = 0.07, follow: bool = False) -> View:
    """A camera that shows every series whole but for the 1 % most distant points, often glitches.

    With `follow`, one that goes along where somebody who crosses the view would be too small to see.
    """
    still = _fit(clip, clip.series, width, height, margin)
    path = _way(clip) if follow and clip.mesh is None else None
    if path is None:
        return still
    near = _fit(clip, {name: values - path[:, None] for name, values in clip.series.items()}, width, height, margin)
    return replace(near, path=path, floor=still.floor) if still.scale < _TOO_SMALL * near.scale else still


def _way(clip: Clip) -> np.ndarray | None:
    """(frames, dims): where the middle of what is shown goes, too smooth to hide trembling; None: nothing is shown."""
    points = next(iter(clip.series.values()))
    there = np.isfinite(points).all(axis=2)
    frames = np.flatnonzero(there.any(axis=1))
    if not len(frames):
        return None
    middle = np.array([np.median(points[t, there[t]], axis=0) for t in frames])
    every = np.stack([np.interp(np.arange(len(points)), frames, way) for way in middle.T], axis=1)
    reach = max(1, round(0.5 * clip.fps))
    padded = np.pad(every, ((reach, reach), (0, 0)), mode="reflect", reflect_type="odd") if len(every) > 1 else every
    if len(padded) < len(every) + 2 * reach:
        return every - every.mean(axis=0)
    window = np.hanning(2 * reach + 3)[1:-1]
    smooth = np.stack([np.convolve(way, window / window.sum(), mode="valid") for way in padded.T], axis=1)
    return smooth - smooth.mean(axis=0)


def _fit(clip: Clip, series: Mapping[str, np.ndarray], width: int, height: int, margin: float) -> View:
    shown, rare = series, 0.005
    if clip.mesh is not None:  # all of a surface; a fraction of the frames is enough to know its extent
        shown, rare = {n: v[:: max(1, len(v) // 50)] for n, v in clip.mesh.vertices.items()}, 0.0
    points = np.concatenate([v.reshape(-1, clip.dims) for v in shown.values()])
    points = points[np.isfinite(points).all(axis=1)]
    if not len(points):
        points = np.zeros((1, clip.dims))
    floor = None
    if clip.axes is not None:
        rotation = camera_rotation(clip.axes, YAW, PITCH)
        floor = float(np.quantile(points @ clip.axes[1], 0.002))
    else:
        rotation = np.eye(2)
    turned = points @ rotation.T
    low, high = np.quantile(turned, rare, axis=0), np.quantile(turned, 1 - rare, axis=0)
    centre = (low + high) / 2
    extent = np.maximum(high - low, 1e-9)[:2]
    room = np.array([width, height]) * (1 - 2 * margin)
    scale = float((room / extent).min())
    if not np.isfinite(scale) or (high - low)[:2].max() < 1e-9:
        scale = 1.0
    return View(rotation, centre @ rotation, scale, width, height, floor)


def camera_rotation(axes: np.ndarray, yaw: float, pitch: float) -> np.ndarray:
    """Rows right, up, to the viewer of a camera turned by `yaw` about the vertical and raised by `pitch`."""
    cy, sy, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    turn = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    raise_ = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    return raise_ @ turn @ axes


def nice_step(span: float, count: int) -> float:
    """A step of 1, 2, 2.5 or 5 times a power of ten that divides `span` into about `count` parts."""
    raw = max(span, 1e-12) / count
    power = 10.0 ** np.floor(np.log10(raw))
    return float(min((m * power for m in (1, 2, 2.5, 5, 10)), key=lambda step: abs(step - raw)))
