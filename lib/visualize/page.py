# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""One self-contained page that plays the motion in any browser, offline."""

from __future__ import annotations

import base64
import html
import json
import os
from importlib import resources

import numpy as np

from ..browser import part
from ..browser.bundle import bundle
from ..utils.files import atomic_write
from .clip import INPUT, SMOOTHED, TRUTH, Clip, changed_most, trail_joints
from .view import PITCH, YAW, fit_view, nice_step

MISSING, LARGEST = -32768, 32767
ROLES = {INPUT: "input", SMOOTHED: "smoothed", TRUTH: "truth"}  # the page's colours; other methods share one


def write_page(path: str | os.PathLike, clip: Clip, replace: bool = True) -> None:
    """Write `clip` as one HTML file without any reference to another file or the network."""
    with atomic_write(path, "w", replace) as file:
        file.write(page(clip))


def page(clip: Clip) -> str:
    """The text of that file."""
    template = resources.files(__package__).joinpath("page.html").read_text(encoding="utf-8")
    for mark, text in (("STYLE", part("player.css")), ("PLAYER", part("player.html")), ("SCRIPT", bundle("player.js"))):
        template = template.replace(f"@{mark}@", text)
    # "<" can only stand inside strings of JSON; escaped there, no text of the user's ends the script element.
    data = json.dumps(describe(clip), ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
    before, after = template.split("@CLIP@")
    return before.replace("@TITLE@", html.escape(clip.title)) + data + after


def describe(clip: Clip) -> dict:
    """What the page needs, as JSON values; coordinates and curves as int16 in base64 (see `pack`)."""
    view = fit_view(clip, 1000, 1000, margin=0.0)
    series = [{"name": n, "role": ROLES.get(n, "other"), **pack(v)} for n, v in clip.series.items()]
    curves = [
        {
            "name": curve.name,
            "unit": curve.unit,
            "means": {n: float(v) for n, v in curve.means.items() if np.isfinite(v)},
            "lines": [
                {"name": n, "role": ROLES.get(n, "other"), **pack(np.asarray(v)[:, None])}
                for n, v in curve.values.items()
            ],
        }
        for curve in clip.curves
    ]
    axes = clip.axes if clip.axes is not None else np.eye(3)
    centre, extent = _extent(clip)
    grid = None
    if clip.dims == 3:
        step = nice_step(float(extent.max()), 6)
        grid = {"step": step, "count": 5, "floor": view.floor, "centre": [centre[0], centre[2]]}
    return {
        "title": clip.title,
        "frames": clip.frames,
        "fps": clip.fps,
        "first_frame": clip.first_frame,
        "unit": clip.unit,
        "dims": clip.dims,
        "joints": clip.skeleton.joints,
        "sides": clip.skeleton.sides,
        "edges": clip.skeleton.edges,
        "edge_sides": clip.skeleton.edge_sides,
        "trails": [int(j) for j in trail_joints(clip)],
        "joint": int(changed_most(clip, 1)[0]),
        "series": series,
        "curves": curves,
        "axes": axes.tolist(),
        "view": {"centre": centre.tolist(), "width": float(extent[0]), "height": float(extent[1])},
        "grid": grid,
        "yaw": float(YAW) if clip.dims == 3 else 0.0,
        "pitch": float(PITCH) if clip.dims == 3 else 0.0,
    }


def pack(values: np.ndarray) -> dict:
    """(..., dims) floats -> base64 of little-endian int16 with `scale` and `offset` for each of the dims.

    value = offset + scale * number; the error is at most half a scale, 1/131068 of the range; NaN is -32768.
    """
    dims = values.shape[-1]
    flat = np.asarray(values, dtype=np.float64).reshape(-1, dims)
    there = np.isfinite(flat)
    low = np.min(np.where(there, flat, np.inf), axis=0, initial=np.inf)
    high = np.max(np.where(there, flat, -np.inf), axis=0, initial=-np.inf)
    empty = ~(low <= high)
    low, high = np.where(empty, 0.0, low), np.where(empty, 0.0, high)
    offset = (low + high) / 2
    scale = (high - low) / (2 * LARGEST)
    scale = np.where(scale > 0, scale, 1.0)  # also of a range so small that it has no such part
    numbers = np.where(there, np.rint((np.where(there, flat, offset) - offset) / scale), MISSING)
    data = np.clip(numbers, MISSING, LARGEST).astype("<i2").tobytes()
    return {
        "scale": scale.tolist(),
        "offset": offset.tolist(),
        "data": base64.b64encode(data).decode("ascii"),
    }


def _extent(clip: Clip) -> tuple[np.ndarray, np.ndarray]:
    """Middle and size (right, up, depth) of what is shown; the width covers the poses from every side."""
    points = np.concatenate([v.reshape(-1, clip.dims) for v in clip.series.values()])
    points = points[np.isfinite(points).all(axis=1)]
    if not len(points):
        points = np.zeros((1, clip.dims))
    if clip.axes is not None:
        points = points @ clip.axes.T
    else:
        points = np.column_stack([points[:, 0], -points[:, 1], np.zeros(len(points))])
    low, high = np.quantile(points, 0.005, axis=0), np.quantile(points, 0.995, axis=0)
    size = np.maximum(high - low, 1e-9)
    if clip.dims == 3:
        size[0] = size[2] = np.hypot(size[0], size[2]) * 0.8
        size[1] *= 1.1
    return (low + high) / 2, size
