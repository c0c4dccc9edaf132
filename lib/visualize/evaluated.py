# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Clips of a sequence of an evaluated dataset, which needs torch."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from yacs.config import CfgNode

from ..dataset.poses import PoseData
from ..evaluation.evaluate import Method, SequenceResult, evaluate_sequences, summarise
from ..evaluation.metrics import METRICS
from ..utils.errors import SmoothNetError
from .clip import INPUT, SMOOTHED, TRUTH, Clip, Curve, Look, Mesh, make_clip, motion_curves
from .sources import frame_rate, shown_frames, surfaces

SERIES = {
    "input": INPUT,
    "smoothnet": SMOOTHED,
    "groundtruth": TRUTH,
}  # names in the evaluation -> in pictures


def evaluated_clip(
    data: PoseData,
    methods: dict[str, Method],
    index: int,
    cfg: CfgNode,
    *,
    body: Any = None,
    look: Look = Look(),  # noqa: B008  (frozen)
) -> Clip:
    """Sequence `index` of a dataset, frames VIS.START to VIS.END, with the numbers of the evaluation.

    Args:
        methods: as for evaluate_sequences; "input" and "smoothnet" first.
        body: for SMPL, from lib.models.body.load_body; its meshes are drawn.
        look: how poses are drawn.

    Raises:
        SmoothNetError: there is no such sequence, or no frame of it is to be shown.
    """
    if not 0 <= index < data.sequences:
        raise SmoothNetError(
            f"{data.label} has no sequence {index}; --visualize_video_id goes from 0 to {data.sequences - 1}"
        )
    produced = {name: method(index) for name, method in methods.items()}
    kept: dict[str, Method] = {name: partial(_given, x) for name, x in produced.items()}
    relative = cfg.EVALUATE.ROOT_RELATIVE
    (result,) = evaluate_sequences(data, kept, root_relative=relative, body=body, sequences=[index])
    length = len(result.valid)
    rows = shown_frames(cfg.VIS.START, cfg.VIS.END, length, f"sequence {index} of {data.label}")

    flat = data.facts.representation == "2D"
    order = [*methods, "groundtruth"]
    series = {SERIES.get(name, name): result.poses[name][rows] / (1.0 if flat else 1000.0) for name in order}
    unit = "px" if flat else "m"
    curves = _evaluated_curves(result, list(methods), rows, "px" if flat else "mm")
    if not any(curve.values for curve in curves):
        curves += [Curve(c.name, c.unit, c.values, {}) for c in motion_curves(series, unit)[:1]]

    mesh = None
    if data.facts.representation == "smpl":
        mesh = _evaluated_mesh(data, produced, index, rows, body, relative)
    smpl = data.facts.representation == "smpl"
    return make_clip(
        series,
        fps=frame_rate(cfg.EVALUATE.FPS or data.facts.fps, data.label),
        unit=unit,
        title=f"{data.facts.dataset} · {data.estimator} · {data.facts.representation} · sequence {index}",
        skeleton=look.skeleton or ("lsp14" if smpl else data.facts.skeleton) or None,
        edges=look.edges,
        up=look.up,
        first_frame=rows.start,
        curves=curves,
        mesh=mesh,
    )


def _given(produced: np.ndarray, index: int) -> np.ndarray:
    """A method whose result is there already."""
    return produced


def _evaluated_curves(result: SequenceResult, methods: list[str], rows: slice, unit: str) -> list[Curve]:
    """What the metrics say of the frames `rows` and of the whole sequence; PCK says one number a sequence."""
    summary = summarise([result])
    found = [METRICS[name] for name in result.values["input"]]
    over_time = [metric for metric in found if metric.curve and metric.per_frame]
    curves = []
    for metric in over_time or [metric for metric in found if not metric.per_frame]:
        percent = metric.unit == "fraction"
        shown = "%" if percent else metric.unit.format(unit).replace("^2", "²")
        means = {SERIES.get(name, name): summary[f"{name}_{metric.name}"] * (100 if percent else 1) for name in methods}
        values = {
            SERIES.get(name, name): np.where(result.valid, result.values[name][metric.name], np.nan)[rows]
            for name in methods
            if metric.per_frame
        }
        curves.append(Curve(metric.label, shown, values, means))
    return curves


def _evaluated_mesh(
    data: PoseData, produced: dict[str, np.ndarray], index: int, rows: slice, body: Any, relative: bool
) -> Mesh:
    """The surfaces of the shown frames, placed as the joints are (root-relative where the joints are)."""
    whole = data.slice(index)
    poses = {**produced, "groundtruth": data.groundtruth[whole].numpy()}
    vertices = {}
    for name, pose in poses.items():
        betas = data.betas_groundtruth if name == "groundtruth" else data.betas_detected
        assert betas is not None
        root = list(data.facts.root) if relative else None
        vertices[SERIES.get(name, name)] = surfaces(body, pose[rows], betas[whole][rows], root)
    return Mesh(vertices, body.faces)
