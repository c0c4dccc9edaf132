# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Drawing poses and curves with Pillow. What does not change is drawn once; a frame takes milliseconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..dataset.skeletons import LEFT, MIDDLE, RIGHT
from .clip import INPUT, SMOOTHED, TRUTH, Clip, Curve, trail_joints
from .view import View, fit_view, nice_step

if TYPE_CHECKING:
    from .meshes import MeshRenderer

# Okabe and Ito's palette, told apart with any common colour blindness. Sides and series share no colour.
SIDE_COLOURS = {LEFT: (213, 94, 0), RIGHT: (0, 114, 178), MIDDLE: (88, 92, 102)}
SERIES_COLOURS = {INPUT: (204, 121, 167), SMOOTHED: (0, 158, 115), TRUTH: (34, 34, 34)}
OTHER_COLOURS = ((230, 159, 0), (86, 180, 233), (180, 165, 20), (150, 90, 60))
PAPER, PANEL, RULE, INK, FAINT = (
    (255, 255, 255),
    (246, 247, 249),
    (222, 225, 230),
    (28, 30, 36),
    (104, 110, 120),
)
GRID = (226, 229, 234)

SAMPLES = 2  # shapes are drawn this many times larger and reduced: that is what makes their edges smooth


@lru_cache(maxsize=32)
def font(size: float, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which matplotlib carries: the same picture on every machine."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size)


def series_colour(name: str) -> tuple[int, int, int]:
    """The colour of a series; filters to compare with share the colours that are left."""
    return SERIES_COLOURS.get(name) or OTHER_COLOURS[sum(name.encode()) % len(OTHER_COLOURS)]


def blend(colour: tuple[int, int, int], ground: tuple[int, int, int], share: float) -> tuple[int, int, int]:
    """`share` of `colour` over `ground`."""
    red, green, blue = (round(c * share + g * (1 - share)) for c, g in zip(colour, ground, strict=True))
    return red, green, blue


class Canvas:
    """A picture with anti-aliased shapes and sharp text; all coordinates are pixels of the result."""

    def __init__(self, width: int, height: int, ground: tuple[int, int, int] = PAPER):
        self.image = Image.new("RGB", (width * SAMPLES, height * SAMPLES), ground)
        self.draw = ImageDraw.Draw(self.image)
        self.texts: list[tuple] = []

    @classmethod
    def over(cls, ground: Image.Image) -> Canvas:
        """A canvas on a copy of `ground`, which is SAMPLES times the size of the result."""
        canvas = cls.__new__(cls)
        canvas.image, canvas.texts = ground.copy(), []
        canvas.draw = ImageDraw.Draw(canvas.image)
        return canvas

    def line(self, points: Sequence | np.ndarray, colour: tuple[int, int, int], width: float = 1.0) -> None:
        scaled = [(x * SAMPLES, y * SAMPLES) for x, y in points]
        self.draw.line(scaled, fill=colour, width=max(1, round(width * SAMPLES)), joint="curve")

    def disc(self, x: float, y: float, radius: float, colour: tuple[int, int, int]) -> None:
        x, y, r = x * SAMPLES, y * SAMPLES, radius * SAMPLES
        self.draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)

    def box(self, x0: float, y0: float, x1: float, y1: float, colour: tuple[int, int, int], radius: float = 8) -> None:
        corners = (x0 * SAMPLES, y0 * SAMPLES, x1 * SAMPLES - 1, y1 * SAMPLES - 1)
        self.draw.rounded_rectangle(corners, radius * SAMPLES, fill=colour)

    def text(
        self,
        x: float,
        y: float,
        text: str,
        size: float = 13,
        colour: tuple[int, int, int] = INK,
        bold: bool = False,
        anchor: str = "ls",
    ) -> float:
        """Write `text` at its baseline (or another Pillow anchor); returns its width."""
        self.texts.append(((x, y), text, colour, font(size, bold), anchor))
        return font(size, bold).getlength(text)

    def finish(self) -> Image.Image:
        image = self.image.reduce(SAMPLES)
        draw = ImageDraw.Draw(image)
        for place, text, colour, face, anchor in self.texts:
            draw.text(place, text, fill=colour, font=face, anchor=anchor)
        return image


def number(value: float) -> str:
    """A number of three or four digits, as a label."""
    if not np.isfinite(value):
        return "\N{EN DASH}"
    magnitude = abs(value)
    return f"{value:.0f}" if magnitude >= 1000 else f"{value:.1f}" if magnitude >= 100 else f"{value:.2f}"


def mean_facts(clip: Clip, name: str) -> str:
    """The means over the sequence that the evaluation reports for one series, as one line."""
    return "   ".join(
        f"{curve.name} {number(curve.means[name])} {curve.unit}"
        for curve in clip.curves
        if np.isfinite(curve.means.get(name, np.nan))
    )


def grid_step(clip: Clip, view: View) -> float:
    """Edge of a floor square, in the clip's unit."""
    return nice_step(min(view.width, view.height) / view.scale, 6)


def draw_floor(canvas: Canvas, clip: Clip, view: View, step: float, origin: np.ndarray | None = None) -> None:
    """A square grid on the height of the lowest joint: it shows scale and where up is.

    `origin`: a point through which lines go, so that the grid stays where it is while the camera goes along.
    """
    assert clip.axes is not None and view.floor is not None
    across, up, front = clip.axes
    half = 0.5 * view.width / view.scale
    count = int(np.ceil(half / step))
    origin = view.centre if origin is None else origin
    places = [(along, origin @ along, view.centre @ along) for along in (across, front)]
    centre = sum((along * (o + step * round((c - o) / step)) for along, o, c in places), up * view.floor)
    reach = count * step
    for k in range(-count, count + 1):
        for along, beside in ((across, front), (front, across)):
            middle = centre + beside * (k * step)
            pixels, _ = view.project(np.stack([middle - along * reach, middle + along * reach]))
            canvas.line(pixels, GRID, 1.0)


class PoseArtist:
    """Draws single frames of one series; everything is projected beforehand."""

    def __init__(self, clip: Clip, view: View, name: str, thickness: float = 1.0, halo: bool = False):
        self.pixels, self.depth = view.project(clip.series[name])
        # How far the picture of a point that stands still moves, (frames, 2).
        still = np.broadcast_to(view.centre, (clip.frames, 1, clip.dims))
        self.drift = view.project(still)[0][:, 0]
        self.there = np.isfinite(self.pixels).all(axis=-1)
        # Far outside the picture Pillow's coordinates would overflow.
        self.pixels = np.clip(np.nan_to_num(self.pixels), -4 * view.width, 5 * view.width)
        self.edges = np.asarray(clip.skeleton.edges, dtype=int).reshape(-1, 2)
        self.edge_colours = [SIDE_COLOURS[s] for s in clip.skeleton.edge_sides]
        self.joint_colours = [SIDE_COLOURS[s] for s in clip.skeleton.sides]
        self.trails = trail_joints(clip)
        self.trail_length = max(2, round(0.6 * clip.fps))
        size = min(view.width, view.height)
        self.width = thickness * np.clip(size / 95, 1.6, 5.0) * (0.75 if len(self.edges) > 28 else 1.0)
        self.halo = halo

    def draw(self, canvas: Canvas, frame: int, trail: bool = True) -> None:
        pixels, there = self.pixels[frame], self.there[frame]
        if trail:
            start = max(0, frame - self.trail_length)
            for joint in self.trails:
                self._trail(canvas, joint, start, frame)
        shown = np.flatnonzero(there[self.edges].all(axis=1)) if len(self.edges) else np.zeros(0, int)
        if len(shown):
            shown = shown[np.argsort(self.depth[frame][self.edges[shown]].mean(axis=1), kind="stable")]
        if self.halo:
            for e in shown:
                canvas.line(pixels[self.edges[e]], PAPER, self.width + 2)
        for e in shown:
            canvas.line(pixels[self.edges[e]], self.edge_colours[e], self.width)
        radius = self.width * (0.82 if len(self.edges) else 1.1)
        for j in np.flatnonzero(there):
            x, y = pixels[j]
            if self.halo:
                canvas.disc(x, y, radius + 1, PAPER)
            canvas.disc(x, y, radius, self.joint_colours[j])

    def _trail(self, canvas: Canvas, joint: int, start: int, frame: int) -> None:
        path, there = self.pixels[start : frame + 1, joint], self.there[start : frame + 1, joint]
        path = path + self.drift[frame] - self.drift[start : frame + 1]
        colour = self.joint_colours[joint]
        for k in range(1, len(path)):
            if there[k - 1] and there[k]:
                share = 0.15 + 0.65 * k / len(path)
                ground = PANEL if not self.halo else PAPER
                canvas.line((path[k - 1], path[k]), blend(colour, ground, share), 1.5)


# ---- curves ----


@dataclass(frozen=True)
class Chart:
    """Where a chart's curves lie: pixel = origin + scale * value."""

    left: float
    right: float
    top: float
    bottom: float
    frames: int
    low: float
    high: float

    def x(self, frame: float) -> float:
        return self.left + (self.right - self.left) * (frame + 0.5) / self.frames

    def y(self, value: float | np.ndarray) -> Any:
        share = (value - self.low) / (self.high - self.low)
        return self.bottom - (self.bottom - self.top) * np.clip(share, -0.02, 1.02)


def draw_chart(
    canvas: Canvas,
    box: tuple[float, float, float, float],
    values: Mapping[str, np.ndarray],
    fps: float,
    *,
    first_frame: int = 0,
    from_zero: bool = True,
    widths: Mapping[str, float] | None = None,
    time_labels: bool = True,
) -> Chart:
    """Axes and curves of `values` (series -> (frames,)) over time inside `box` (x0, y0, x1, y1)."""
    x0, y0, x1, y1 = box
    every = np.concatenate([np.asarray(v, dtype=float) for v in values.values()])
    every = every[np.isfinite(every)]
    low, high = (float(every.min()), float(every.max())) if every.size else (0.0, 1.0)
    if from_zero:
        low = min(0.0, low)
    span = high - low or abs(high) or 1.0
    step = nice_step(span * 1.02, max(2, int((y1 - y0) / 34)))
    low, high = (low if from_zero else low - 0.04 * span), high + 0.04 * span
    ticks = np.arange(np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9) + 1) * step
    digits = max(0, -int(np.floor(np.log10(step) + 1e-9))) + (1 if f"{step:e}".startswith("2.5") else 0)
    labels = [f"{tick + 0.0:.{digits}f}" for tick in ticks]
    gutter = max((font(11).getlength(label) for label in labels), default=0) + 8
    frames = len(next(iter(values.values())))
    chart = Chart(x0 + gutter, x1 - 2, y0 + 3, y1 - (18 if time_labels else 3), frames, low, high)
    for tick, label in zip(ticks, labels, strict=True):
        y = float(chart.y(tick))
        canvas.line(((chart.left, y), (chart.right, y)), RULE, 1.0)
        canvas.text(chart.left - 6, y, label, 11, FAINT, anchor="rm")
    if time_labels:
        seconds = frames / fps
        stride = nice_step(seconds, max(2, int((chart.right - chart.left) / 90)))
        digits = max(0, -int(np.floor(np.log10(stride) + 1e-9))) + (1 if f"{stride:e}".startswith("2.5") else 0)
        start = first_frame / fps
        tick = np.ceil(start / stride - 1e-9) * stride
        while tick <= start + seconds:
            tick += 0.0  # -0.0 would be written with its sign
            x = chart.x((tick - start) * fps - 0.5)
            label = f"{tick:.{digits}f} s"
            if x + font(11).getlength(label) / 2 <= x1 + 4 and x >= chart.left - 1:
                canvas.text(x, chart.bottom + 5, label, 11, FAINT, anchor="mt")
            tick += stride
    for name, line in values.items():
        width = (widths or {}).get(name, 1.6 if name == INPUT else 2.0)
        draw_curve(canvas, chart, np.asarray(line, dtype=float), series_colour(name), width)
    return chart


def draw_curve(canvas: Canvas, chart: Chart, line: np.ndarray, colour: tuple[int, int, int], width: float) -> None:
    """One curve, broken where values are missing."""
    there = np.isfinite(line)
    xs = [chart.x(frame) for frame in range(len(line))]
    ys = chart.y(np.nan_to_num(line))
    frame = 0
    while frame < len(line):
        if not there[frame]:
            frame += 1
            continue
        stop = frame
        while stop < len(line) and there[stop]:
            stop += 1
        points = [(xs[k], float(ys[k])) for k in range(frame, stop)]
        if len(points) == 1:
            canvas.disc(*points[0], width, colour)
        else:
            canvas.line(points, colour, width)
        frame = stop


# ---- one frame of a video ----


@dataclass(frozen=True)
class FrameLayout:
    """Where everything stands in a frame: panels side by side above, charts below; pixels."""

    width: int
    height: int
    scale: float  # of text and distances
    small: float  # size of small text
    pad: int
    gap: int
    head: int
    foot: int
    panel_width: int
    one_line: bool  # name and means of a panel fit in one line
    label: int  # height above a panel

    @property
    def panel_height(self) -> int:
        return self.height - self.head - self.label - self.foot


def frame_layout(clip: Clip, width: int, height: int) -> FrameLayout:
    scale = width / 1280
    small, pad, gap = max(9.0, 13 * scale), round(22 * scale), round(14 * scale)
    count = len(clip.series)
    panel_width = (width - 2 * pad - gap * (count - 1)) // count
    one_line = all(
        font(15 * scale, True).getlength(name) + font(small).getlength(mean_facts(clip, name)) + 34 * scale
        <= panel_width
        for name in clip.series
    )
    return FrameLayout(
        width,
        height,
        scale,
        small,
        pad,
        gap,
        head=round(64 * scale),
        foot=round(200 * scale) if any(curve.values for curve in clip.curves) else pad,
        panel_width=panel_width,
        one_line=one_line,
        label=round((34 if one_line else 52) * scale),
    )


class FramePainter:
    """Frames of a clip at one size: panels side by side above, curves with a moving cursor below."""

    def __init__(self, clip: Clip, width: int = 1280, height: int = 720, over_video: bool = False):
        """`over_video`: `paint` is given the frames of the video that lie under the 2D poses."""
        self.clip = clip
        place = self.place = frame_layout(clip, width, height)
        self.view = fit_view(clip, place.panel_width, place.panel_height, follow=not over_video)
        canvas = Canvas(width, height)
        self._header(canvas)
        tile = Canvas(self.view.width, self.view.height, PANEL)
        if clip.dims == 3 and self.view.path is None:
            draw_floor(tile, clip, self.view, grid_step(clip, self.view))
        self.tile = tile.image
        self.panels = [
            (place.pad + k * (place.panel_width + place.gap), place.head + place.label, name)
            for k, name in enumerate(clip.series)
        ]
        for x, _, name in self.panels:
            self._panel_label(canvas, name, x, place.head)
        self.artists = {name: PoseArtist(clip, self.view, name, halo=over_video) for name in clip.series}
        self.charts = self._draw_charts(canvas)
        self.base = canvas.finish()
        self.meshes: MeshRenderer | None = None  # lib/visualize/meshes.py hangs its renderer in here

    def _header(self, canvas: Canvas) -> None:
        clip, place = self.clip, self.place
        baseline = round(34 * place.scale)
        title = cut_text(clip.title, 20 * place.scale, place.width * 0.62, bold=True)
        canvas.text(place.pad, baseline, title, 20 * place.scale, INK, bold=True)
        self.counter = (place.width - place.pad, baseline)
        x, y = float(place.pad), baseline + 22 * place.scale
        if clip.mesh is None:
            x = draw_sides(canvas, clip, x, y, place.small, place.scale)
        if clip.dims == 3:
            unit = clip.unit or "units"
            canvas.text(x, y, f"grid {grid_step(clip, self.view):g} {unit}", place.small, FAINT)

    def _panel_label(self, canvas: Canvas, name: str, x: float, y: float) -> None:
        place, facts = self.place, mean_facts(self.clip, name)
        scale = place.scale
        canvas.box(x, y + 13 * scale, x + 11 * scale, y + 24 * scale, series_colour(name), 3 * scale)
        canvas.text(x + 18 * scale, y + 24 * scale, name.capitalize(), 15 * scale, INK, bold=True)
        if place.one_line:
            canvas.text(x + place.panel_width, y + 24 * scale, facts, place.small, FAINT, anchor="rs")
        else:
            canvas.text(x, y + 43 * scale, cut_text(facts, place.small, place.panel_width), place.small, FAINT)

    def _draw_charts(self, canvas: Canvas) -> list[tuple[Chart, Curve, float, float]]:
        """Draw the curves; gives of each its chart, the curve, and the right and upper end of its title."""
        place, curves, charts = self.place, [curve for curve in self.clip.curves if curve.values], []
        width = (place.width - 2 * place.pad - place.gap * (len(curves) - 1)) / max(len(curves), 1)
        for k, curve in enumerate(curves):
            x = place.pad + k * (width + place.gap)
            y = place.height - place.foot + round(28 * place.scale)
            canvas.text(x, y, f"{curve.name}, {curve.unit}", place.small, INK, bold=True)
            box = (x, y + 10 * place.scale, x + width, place.height - 10 * place.scale)
            chart = draw_chart(canvas, box, curve.values, self.clip.fps, first_frame=self.clip.first_frame)
            charts.append((chart, curve, x + width, float(y)))
        return charts

    def paint(self, frame: int, video_frame: Image.Image | None = None) -> Image.Image:
        """The picture of frame number `frame` of the clip, RGB."""
        image = self.base.copy()
        ground = self._video_tile(video_frame) if video_frame is not None else self._ground(frame)
        for x, y, name in self.panels:
            image.paste(self._panel(name, frame, ground), (x, y))
        draw = ImageDraw.Draw(image)
        clip = self.clip
        number_of = clip.first_frame + frame
        text = f"frame {number_of}   {number_of / clip.fps:.2f} s   {clip.fps:g} fps"
        draw.text(self.counter, text, fill=FAINT, font=font(self.place.small), anchor="rs")
        for chart, curve, right, top in self.charts:
            self._cursor(draw, chart, curve, frame, right, top)
        return image

    def _ground(self, frame: int) -> Image.Image:
        """What lies under the poses: the floor, which moves where the camera goes along."""
        if self.view.path is None or self.clip.dims != 3:
            return self.tile
        tile = Canvas(self.view.width, self.view.height, PANEL)
        draw_floor(tile, self.clip, self.view.at(frame), grid_step(self.clip, self.view), self.view.centre)
        return tile.image

    def _panel(self, name: str, frame: int, ground: Image.Image) -> Image.Image:
        canvas = Canvas.over(ground)
        if self.meshes is not None:
            surface = self.meshes.render(name, frame)
            canvas.image.paste(surface, (0, 0), surface)
        else:
            self.artists[name].draw(canvas, frame)
        return canvas.image.reduce(SAMPLES)

    def _cursor(
        self, draw: ImageDraw.ImageDraw, chart: Chart, curve: Curve, frame: int, right: float, top: float
    ) -> None:
        """The line at the present frame, and each series' value there: a dot on its curve, and a number above."""
        small, x = self.place.small, chart.x(frame)
        draw.line(((x, chart.top), (x, chart.bottom)), fill=FAINT, width=1)
        for name in reversed(list(curve.values)):
            value = float(curve.values[name][frame])
            colour = series_colour(name)
            label = f"{name} {number(value)}"
            draw.text((right, top), label, fill=INK, font=font(small), anchor="rs")
            right -= font(small).getlength(label) + 10
            level = top - small * 0.38
            draw.ellipse((right - 4, level - 4, right + 4, level + 4), fill=colour)
            right -= 18
            if np.isfinite(value):
                y = float(chart.y(value))
                draw.ellipse((x - 4, y - 4, x + 4, y + 4), fill=colour, outline=PAPER)

    def _video_tile(self, frame: Image.Image) -> Image.Image:
        """The part of a video frame that the view shows, at the tile's size; white where the frame ends."""
        view = self.view
        corner = view.centre - np.array([view.width, view.height]) / 2 / view.scale
        size = np.array([view.width, view.height]) / view.scale
        box = (corner[0], corner[1], corner[0] + size[0], corner[1] + size[1])
        full = (view.width * SAMPLES, view.height * SAMPLES)
        part = frame.transform(full, Image.Transform.EXTENT, box, Image.Resampling.BILINEAR, fillcolor=PANEL)
        return Image.blend(part, Image.new("RGB", full, PAPER), 0.12)


def draw_sides(canvas: Canvas, clip: Clip, x: float, y: float, size: float, scale: float = 1.0) -> float:
    """What the colours of joints mean, where there are several; gives where the line goes on."""
    present = set(clip.skeleton.sides)
    for side in (LEFT, RIGHT, MIDDLE):
        if side in present and len(present) > 1:
            canvas.disc(x + 5 * scale, y - 4.5 * scale, 5 * scale, SIDE_COLOURS[side])
            words = f"{side} of the body" if side != MIDDLE else side
            x += 15 * scale + canvas.text(x + 15 * scale, y, words, size, FAINT) + 18 * scale
    return x


def cut_text(text: str, size: float, width: float, bold: bool = False) -> str:
    """`text`, shortened with an ellipsis where it is wider than `width`."""
    face = font(size, bold)
    if face.getlength(text) <= width:
        return text
    while text and face.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"
