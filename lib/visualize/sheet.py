# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""One sheet: a strip of poses before and after, and the curves of the joints that smoothing changed most."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from PIL import Image

from ..utils.files import atomic_write
from .clip import INPUT, SMOOTHED, Clip, changed_most
from .drawing import (
    FAINT,
    INK,
    PANEL,
    SAMPLES,
    Canvas,
    PoseArtist,
    View,
    cut_text,
    draw_chart,
    draw_sides,
    fit_view,
    font,
    mean_facts,
    number,
    series_colour,
)

WIDTH, PAD = 1400, 36


def write_sheet(path: str | os.PathLike, clip: Clip, poses: int = 7, charts: int = 4, replace: bool = True) -> None:
    """Write the sheet of `clip` to `path` as PNG: `poses` moments, `charts` joints, the clip's own curves."""
    image = draw_sheet(clip, poses, charts)
    # 256 colours are enough for flat drawings and a third of the size; surfaces keep all of theirs.
    if clip.mesh is None:
        image = image.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    with atomic_write(path, replace=replace) as file:
        image.save(file, format="PNG", optimize=True)


def draw_sheet(clip: Clip, poses: int = 7, charts: int = 4) -> Image.Image:
    """The sheet of `clip`, RGB."""
    moments = np.unique(np.linspace(0, clip.frames - 1, min(poses, clip.frames) + 2)[1:-1].round().astype(int))
    view = strip_view(clip, len(moments))
    renderer = None
    if clip.mesh is not None:
        from .meshes import MeshRenderer

        renderer = MeshRenderer(clip.mesh, view)
    joints = changed_most(clip, min(charts, len(clip.skeleton.joints)))
    rows = -(-len(joints) // 2)
    curve_rows = -(-len([c for c in clip.curves if c.values]) // 2)
    strip_height = view.height + 34
    chart_height = 176
    top = 96
    below = top + len(clip.series) * (strip_height + 14) + 34
    height = below + 44 + rows * chart_height + (curve_rows * chart_height if curve_rows else 0) + 10
    canvas = Canvas(WIDTH, height)
    _header(canvas, clip)

    for k, name in enumerate(clip.series):
        _strip(canvas, clip, view, renderer, name, moments, top + k * (strip_height + 14))
    if renderer is not None:
        renderer.close()
    y = below - 34
    for k, frame in enumerate(moments):
        x = PAD + (k + 0.5) * (WIDTH - 2 * PAD) / len(moments)
        canvas.text(x, y + 4, f"{(clip.first_frame + frame) / clip.fps:.2f} s", 13, FAINT, anchor="mt")

    title = "Joints that smoothing moved most" if {INPUT, SMOOTHED} <= set(clip.series) else "Joints over time"
    canvas.text(PAD, below + 24, title, 16, INK, bold=True)
    _legend(canvas, clip, below + 24)
    y = below + 38
    for k, joint in enumerate(joints):
        _joint_chart(canvas, clip, int(joint), _cell(k, y, chart_height))
    y += rows * chart_height
    for k, curve in enumerate(c for c in clip.curves if c.values):
        x0, y0, x1, y1 = _cell(k, y, chart_height)
        _chart_title(canvas, f"{curve.name}, {curve.unit}", x0, y0)
        means = [f"{n} {number(v)}" for n, v in curve.means.items() if np.isfinite(v)]
        if means:
            canvas.text(x1, y0 + 20, "mean: " + "   ".join(means), 13, FAINT, anchor="rs")
        draw_chart(canvas, (x0, y0 + 30, x1, y1 - 8), curve.values, clip.fps, first_frame=clip.first_frame)
    return canvas.finish()


def strip_view(clip: Clip, count: int) -> View:
    """One camera for all poses of the strip; a strip is as high as its poses need, within limits."""
    width = (WIDTH - 2 * PAD) // count
    tall = fit_view(clip, width, 320, follow=True)
    span = view_height(clip, tall)
    return fit_view(clip, width, int(np.clip(span + 40, 110, 320)), follow=True)


def view_height(clip: Clip, view: View) -> float:
    """Pixels from the lowest to the highest point, but for rare outliers."""
    points = np.concatenate([view.project(v)[0][..., 1].ravel() for v in clip.series.values()])
    points = points[np.isfinite(points)]
    return float(np.subtract(*np.quantile(points, [0.995, 0.005]))) if points.size else 0.0


def _header(canvas: Canvas, clip: Clip) -> None:
    canvas.text(PAD, 46, cut_text(clip.title, 24, WIDTH * 0.6, bold=True), 24, INK, bold=True)
    last = clip.first_frame + clip.frames - 1
    frames = f"frames {clip.first_frame} to {last}   {clip.frames / clip.fps:.2f} s   {clip.fps:g} fps"
    canvas.text(WIDTH - PAD, 46, frames, 13, FAINT, anchor="rs")
    if clip.mesh is None:
        x = draw_sides(canvas, clip, PAD, 74, 13)
        canvas.text(x, 74, "lines behind the joints: their path over the last 0.6 s", 13, FAINT)


def _strip(canvas: Canvas, clip: Clip, view: View, renderer: Any, name: str, moments: np.ndarray, y: int) -> None:
    canvas.box(PAD, y + 8, PAD + 12, y + 20, series_colour(name), 3)
    canvas.text(PAD + 20, y + 20, name.capitalize(), 16, INK, bold=True)
    canvas.text(WIDTH - PAD, y + 20, mean_facts(clip, name), 13, FAINT, anchor="rs")
    canvas.box(PAD, y + 30, WIDTH - PAD, y + 30 + view.height, PANEL)
    artist = PoseArtist(clip, view, name)
    for k, frame in enumerate(moments):
        x = PAD + k * view.width
        if renderer is not None:
            surface = renderer.render(name, int(frame))
            canvas.image.paste(surface, (x * SAMPLES, (y + 30) * SAMPLES), surface)
        else:
            part = Canvas(view.width, view.height, PANEL)
            artist.draw(part, int(frame))
            canvas.image.paste(part.image, (x * SAMPLES, (y + 30) * SAMPLES))


def _legend(canvas: Canvas, clip: Clip, y: float) -> None:
    x: float = WIDTH - PAD
    for name in reversed(list(clip.series)):
        x -= font(13).getlength(name)
        canvas.text(x, y, name, 13, INK)
        canvas.line(((x - 28, y - 5), (x - 8, y - 5)), series_colour(name), 2.5)
        x -= 46


def _cell(k: int, y: float, height: float) -> tuple[float, float, float, float]:
    width = (WIDTH - 2 * PAD - 40) / 2
    x0, y0 = PAD + (k % 2) * (width + 40), y + (k // 2) * height
    return x0, y0, x0 + width, y0 + height


def _chart_title(canvas: Canvas, text: str, x: float, y: float) -> None:
    canvas.text(x, y + 20, text, 13, INK, bold=True)


def _joint_chart(canvas: Canvas, clip: Clip, joint: int, cell: tuple[float, float, float, float]) -> None:
    """The coordinate of a joint that smoothing changed most, of every series."""
    x0, y0, x1, y1 = cell
    change = clip.series.get(SMOOTHED, 0) - next(iter(clip.series.values()))
    square = np.nan_to_num(np.asarray(change)[:, joint] ** 2)
    channel = int(square.mean(axis=0).argmax())
    unit = f", {clip.unit}" if clip.unit else ""
    _chart_title(canvas, f"{clip.skeleton.joints[joint].replace('_', ' ')} {'xyz'[channel]}{unit}", x0, y0)
    values = {name: v[:, joint, channel] for name, v in clip.series.items()}
    box = (x0, y0 + 30, x1, y1 - 8)
    draw_chart(canvas, box, values, clip.fps, first_frame=clip.first_frame, from_zero=False)
