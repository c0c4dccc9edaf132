# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Evaluation: the network and the filters against ground truth, sequence by sequence, pooled over frames.

3D, 2D and SMPL take the same way: smooth in the network's space, go to the metrics' space, compare there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn
from yacs.config import CfgNode

from ..dataset.poses import PoseData
from ..filters import FILTERS, apply_filter, filter_names
from ..models.kinds import channel_network, kind_of, window_of
from ..models.windows import smooth_sequence
from ..utils import device as devices
from ..utils.distributed import World
from ..utils.rotations import sixd_to_axis_angle
from .metrics import measure, metrics_of
from .report import SEQUENCE_HEADER, result_row, sequence_lines
from .summary import SequenceResult, summarise, with_values, without_poses

__all__ = [
    "Method",
    "SequenceResult",
    "Timer",
    "evaluate",
    "evaluate_sequences",
    "filter_method",
    "input_method",
    "network_method",
    "summarise",
    "with_values",
    "without_poses",
]

Method = Callable[[int], np.ndarray]  # number of a sequence -> (L, C) float32 in the network's space


class Timer:
    """Seconds spent in the network and the frames it smoothed."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.frames = 0

    @property
    def us_per_frame(self) -> float:
        return 1e6 * self.seconds / max(self.frames, 1)


def network_method(
    model: nn.Module,
    data: PoseData,
    *,
    device: torch.device,
    step: int = 1,
    normalize: str = "none",
    autocast: torch.dtype | None = None,
    timer: Timer | None = None,
    fps: float = 0.0,
) -> Method:
    """The network as a method: windows, network, mean over the windows that cover a frame.

    Args:
        model: on `device`.
        step: frames between the starts of windows.
        normalize: the normalisation the weights were trained with.
        autocast: type of the matrix products, None for float32.
        fps: frames per second, for networks that make use of it; 0: unknown. See rate_of.
    """
    network, kind = channel_network(model, normalize, data.facts.dims, fps=fps), kind_of(model)[1]
    taper = kind.taper(model)
    weights = None if taper is None else torch.tensor(taper, dtype=torch.float32, device=device)
    weigh = None if weights is None else (lambda starts: weights)

    def smooth(i: int) -> np.ndarray:
        x = data.detected[data.slice(i)].to(device)
        devices.synchronize(device)
        start = time.perf_counter()
        with torch.inference_mode(), devices.autocast(device, autocast):
            y = smooth_sequence(network, x, window_of(model), step, weigh=weigh, reflect=kind.by_joint)
        devices.synchronize(device)
        if timer is not None:
            timer.seconds += time.perf_counter() - start
            timer.frames += len(x)
        return y.cpu().numpy()

    return smooth


def rate_of(data: PoseData, cfg: CfgNode) -> float:
    """Frames per second of recordings: the user's word, or the dataset's; 0: unknown."""
    return float(cfg.EVALUATE.FPS or data.facts.fps)


def filter_method(name: str, data: PoseData, cfg: CfgNode) -> Method:
    """A classical filter as a method. As published it sees root-relative joints (3D), normalised pixels, 6D."""

    # A published setting counts its frames, whatever the dataset's rate is.
    fps = (rate_of(data, cfg) if FILTERS[name].published is None else cfg.EVALUATE.FPS) or None

    def smooth(i: int) -> np.ndarray:
        x = data.detected[data.slice(i)].numpy()
        if data.facts.representation == "3D" and cfg.EVALUATE.ROOT_RELATIVE:
            x = _root_relative(x.reshape(len(x), -1, 3), data.facts.root).reshape(x.shape)
        return apply_filter(name, x, cfg.EVALUATE, fps=fps)

    return smooth


def input_method(data: PoseData) -> Method:
    """What the estimator gave, unchanged."""
    return lambda i: data.detected[data.slice(i)].numpy()


def evaluate_sequences(
    data: PoseData,
    methods: Mapping[str, Method],
    *,
    root_relative: bool = True,
    body: Any = None,
    sequences: Iterable[int] | None = None,
    beside: bool = False,
) -> Iterator[SequenceResult]:
    """Compare every method with the ground truth, one sequence at a time so that memory stays bounded.

    Args:
        methods: name -> method, e.g. {"input": input_method(data), "smoothnet": network_method(...)}.
        root_relative: subtract the mean of the root joints before 3D and SMPL metrics.
        body: smpl only, from lib.models.body.load_body.
        sequences: numbers of the sequences; all if None.
        beside: compute the metrics in a thread, while the methods smooth the next sequence on their device. On the CPU
            the two would be in each other's way, and times of the network would count the metrics.
    """
    compare = _compare_bodies if data.facts.representation == "smpl" else _compare_points
    jobs = (
        partial(compare, data, i, {name: method(i) for name, method in methods.items()}, root_relative, body)
        for i in (range(data.sequences) if sequences is None else sequences)
    )
    return _one_behind(jobs) if beside else (job() for job in jobs)


def _one_behind(jobs: Iterable[Callable[[], SequenceResult]]) -> Iterator[SequenceResult]:
    """The results of the jobs, each run by a thread while the next one is put together."""
    with ThreadPoolExecutor(1) as worker:
        before = None
        for job in jobs:
            running = worker.submit(job)
            if before is not None:
                yield before.result()
            before = running
        if before is not None:
            yield before.result()


def _root_relative(joints: np.ndarray, root: tuple[int, ...]) -> np.ndarray:
    return joints - joints[:, list(root)].mean(1, keepdims=True)


def _compare_points(
    data: PoseData, i: int, produced: Mapping[str, np.ndarray], root_relative: bool, body: Any
) -> SequenceResult:
    rows = data.slice(i)
    scale, shift = data.scale[i].numpy(), data.shift[i].numpy()

    def to_metric(x: np.ndarray) -> np.ndarray:
        joints = x.reshape(len(x), data.facts.joints, data.facts.dims) * scale + shift
        if root_relative and data.facts.representation == "3D":
            joints = _root_relative(joints, data.facts.root)
        return joints

    truth = to_metric(data.groundtruth[rows].numpy())
    poses = {name: to_metric(x) for name, x in produced.items()}
    valid = data.valid[rows].numpy()
    result = SequenceResult(i, data.names[i], valid, {**poses, "groundtruth": truth})
    for name, joints in poses.items():
        if "boxes" in data.facts.spaces:
            assert data.bbox is not None
            result.values[name] = measure("boxes", joints[valid], truth[valid], data.bbox[rows][valid])
        else:
            result.values[name] = measure("joints", joints, truth)
    return result


def _compare_bodies(
    data: PoseData, i: int, produced: Mapping[str, np.ndarray], root_relative: bool, body: Any
) -> SequenceResult:
    rows = data.slice(i)
    assert data.betas_detected is not None and data.betas_groundtruth is not None
    betas = dict.fromkeys(produced, data.betas_detected[rows])
    everyone = {"groundtruth": data.groundtruth[rows].numpy(), **produced}
    betas["groundtruth"] = data.betas_groundtruth[rows]
    rotations = {name: _axis_angle(x) for name, x in everyone.items()}
    frames = len(rotations["groundtruth"])
    # Filled in place: many small arrays kept between the large, short-lived meshes would fragment the memory.
    poses = {name: np.empty((frames, 14, 3), np.float32) for name in everyone}
    surfaces = {name: {row.name: np.empty(frames, np.float32) for row in metrics_of("vertices")} for name in produced}
    for chunk in body.chunks(frames):
        truth_vertices: np.ndarray | None = None
        for name, pose in rotations.items():  # the ground truth comes first
            joints, vertices = body(pose[chunk], betas[name][chunk])
            poses[name][chunk] = joints * 1000
            vertices *= 1000  # to mm, in place
            if truth_vertices is None:
                truth_vertices = vertices
                continue
            for metric, values in measure("vertices", vertices, truth_vertices).items():
                surfaces[name][metric][chunk] = values
    if root_relative:
        poses = {name: _root_relative(x, data.facts.root) for name, x in poses.items()}
    result = SequenceResult(i, data.names[i], data.valid[rows].numpy(), poses)
    for name in produced:
        result.values[name] = {**measure("joints", poses[name], poses["groundtruth"]), **surfaces[name]}
    return result


def _axis_angle(x: np.ndarray) -> np.ndarray:
    """(L, 144) 6D or (L, 72) axis-angle -> (L, 72) axis-angle."""
    return x if x.shape[1] == 72 else sixd_to_axis_angle(x)


def evaluate(
    cfg: CfgNode,
    model: nn.Module,
    normalize: str,
    datasets: list[PoseData],
    device: torch.device,
    *,
    world: World = World(),  # noqa: B008  (frozen)
    body: Any = None,
) -> tuple[list[dict[str, Any]], tuple[list[str], list[list[Any]]]]:
    """Evaluate the network and the filters of EVALUATE.TRADITION on every dataset.

    Args:
        world: the processes among which the sequences are shared out; rank 0 returns what one process would.

    Returns:
        the rows of metrics.json; header and lines of the table with one line a sequence and method.
    """
    rows, lines = [], []
    names: list[str] = []  # of the metrics of all datasets
    for data in datasets:
        timer = Timer()
        methods = _methods(cfg, model, normalize, data, device, timer)
        results = evaluate_sequences(
            data,
            methods,
            root_relative=cfg.EVALUATE.ROOT_RELATIVE,
            body=body,
            sequences=world.share(data.offsets.diff().tolist()),
        )
        parts = world.gather(([without_poses(result) for result in results], timer.seconds, timer.frames))
        if not world.main:
            continue
        kept = sorted((result for part, _, _ in parts for result in part), key=lambda result: result.index)
        summary = summarise(kept)
        summary["us_per_frame"] = 1e6 * sum(part[1] for part in parts) / max(sum(part[2] for part in parts), 1)
        rows.append(result_row(data, window_of(model), cfg.EVALUATE.PRETRAINED, summary))
        names += [row.name for row in metrics_of(*data.facts.spaces) if row.name not in names]
        lines += sequence_lines(rows[-1], kept)
    table = [[*start, *(figures.get(name, "") for name in names)] for start, figures in lines]
    return rows, ([*SEQUENCE_HEADER, *names], table)


def _methods(
    cfg: CfgNode, model: nn.Module, normalize: str, data: PoseData, device: torch.device, timer: Timer
) -> dict[str, Method]:
    """What an evaluation compares: the input, the network and the filters of the settings."""
    network = network_method(
        model,
        data,
        device=device,
        step=cfg.EVALUATE.SLIDE_WINDOW_STEP_SIZE,
        normalize=normalize,
        autocast=devices.autocast_dtype(device, cfg.TRAIN.AUTOCAST_DTYPE) if cfg.TRAIN.AUTOCAST else None,
        timer=timer,
        fps=rate_of(data, cfg),
    )
    filters = {name: filter_method(name, data, cfg) for name in filter_names(cfg.EVALUATE.TRADITION)}
    return {"input": input_method(data), "smoothnet": network, **filters}
