"""Evaluation: the network and the filters against ground truth, sequence by sequence, pooled over frames.

3D, 2D and SMPL take the same way: smooth in the network's space, go to the metrics' space, compare there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn
from yacs.config import CfgNode

from ..dataset.poses import PoseData
from ..models.kinds import channel_network
from ..models.windows import smooth_sequence
from ..utils import device as devices
from ..utils.distributed import World
from ..utils.rotations import sixd_to_axis_angle
from . import metrics as m
from .filters import apply_filter, filter_names
from .pck import THRESHOLDS, pck, pck_parts
from .report import result_row

Method = Callable[[int], np.ndarray]  # number of a sequence -> (L, C) float32 in the network's space


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
) -> Method:
    """The network as a method: windows, network, mean over the windows that cover a frame.

    Args:
        model: on `device`.
        step: frames between the starts of windows.
        normalize: the normalisation the weights were trained with.
        autocast: type of the matrix products, None for float32.
    """
    network = channel_network(model, normalize, data.facts.dims)

    def smooth(i: int) -> np.ndarray:
        x = data.detected[data.slice(i)].to(device)
        devices.synchronize(device)
        start = time.perf_counter()
        with torch.inference_mode(), devices.autocast(device, autocast):
            y = smooth_sequence(network, x, model.window_size, step)
        devices.synchronize(device)
        if timer is not None:
            timer.seconds += time.perf_counter() - start
            timer.frames += len(x)
        return y.cpu().numpy()

    return smooth


def filter_method(name: str, data: PoseData, cfg: CfgNode) -> Method:
    """A classical filter as a method. As published it sees root-relative joints (3D), normalised pixels, 6D."""

    def smooth(i: int) -> np.ndarray:
        x = data.detected[data.slice(i)].numpy()
        if data.facts.representation == "3D" and cfg.EVALUATE.ROOT_RELATIVE:
            x = _root_relative(x.reshape(len(x), -1, 3), data.facts.root).reshape(x.shape)
        return apply_filter(name, x, cfg.EVALUATE, fps=cfg.EVALUATE.FPS or None)

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


def _position_values(poses: np.ndarray, truth: np.ndarray) -> dict[str, np.ndarray]:
    return {"mpjpe": m.mpjpe(poses, truth), "pampjpe": m.pampjpe(poses, truth), "accel": m.accel(poses, truth)}


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
        if "mpjpe" in data.facts.metrics:
            result.values[name] = _position_values(joints, truth)
        else:
            result.values[name] = {
                key: pck(joints[valid], truth[valid], data.bbox[rows][valid], threshold)
                for key, threshold in THRESHOLDS.items()
            }
    return result


def _compare_bodies(
    data: PoseData, i: int, produced: Mapping[str, np.ndarray], root_relative: bool, body: Any
) -> SequenceResult:
    rows = data.slice(i)
    betas = dict.fromkeys(produced, data.betas_detected[rows])
    everyone = {"groundtruth": data.groundtruth[rows].numpy(), **produced}
    betas["groundtruth"] = data.betas_groundtruth[rows]
    rotations = {name: _axis_angle(x) for name, x in everyone.items()}
    frames = len(rotations["groundtruth"])
    # Filled in place: many small arrays kept between the large, short-lived meshes would fragment the memory.
    poses = {name: np.empty((frames, 14, 3), np.float32) for name in everyone}
    vertex_errors = {name: np.empty(frames, np.float32) for name in produced}
    for chunk in body.chunks(frames):
        truth_vertices = None
        for name, pose in rotations.items():  # the ground truth comes first
            joints, vertices = body(pose[chunk], betas[name][chunk])
            poses[name][chunk] = joints * 1000
            if name == "groundtruth":
                truth_vertices = vertices
            else:
                vertex_errors[name][chunk] = m.mpvpe(vertices, truth_vertices) * 1000
    if root_relative:
        poses = {name: _root_relative(x, data.facts.root) for name, x in poses.items()}
    result = SequenceResult(i, data.names[i], data.valid[rows].numpy(), poses)
    for name in produced:
        result.values[name] = {
            **_position_values(poses[name], poses["groundtruth"]),
            "mpvpe": vertex_errors[name],
        }
    return result


def _axis_angle(x: np.ndarray) -> np.ndarray:
    """(L, 144) 6D or (L, 72) axis-angle -> (L, 72) axis-angle."""
    return x if x.shape[1] == 72 else sixd_to_axis_angle(x)


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
    valid = np.concatenate([result.valid for result in results])
    calm = np.concatenate([_with_valid_neighbours(result.valid) for result in results])
    inner = np.concatenate([_inner(len(result.valid)) for result in results])
    summary: dict[str, float] = {}
    per_frame: dict[str, np.ndarray] = {}
    for name, first in results[0].values.items():
        for metric in first:
            parts = [result.values[name][metric] for result in results]
            if metric in THRESHOLDS:
                fractions = np.stack(parts)  # (S, K)
                summary[f"{name}_{metric}"] = float(np.nanmean(fractions))
                for part, fraction in pck_parts(fractions).items() if fractions.shape[1] == 15 else ():
                    summary[f"{name}_{metric}_{part}"] = fraction
                continue
            value = per_frame[f"{name}_{metric}"] = np.concatenate(parts)
            if metric == "accel":
                summary[f"{name}_accel"] = _mean(value, calm)
                summary[f"{name}_accel_unpadded"] = _mean(value, calm & inner)
            else:
                summary[f"{name}_{metric}"] = _mean(value, valid)
    if "input" in results[0].values and "smoothnet" in results[0].values:
        for metric in results[0].values["input"]:
            summary[f"improvement_{metric}"] = summary[f"smoothnet_{metric}"] - summary[f"input_{metric}"]
        if "input_mpjpe" in per_frame:
            worst = np.flatnonzero(valid)[m.worst_frames(per_frame["input_mpjpe"][valid])]
            for name in ("input", "smoothnet"):
                for metric in ("mpjpe", "accel"):
                    summary[f"{name}_{metric}_top1"] = _mean(per_frame[f"{name}_{metric}"][worst])
    summary["frames"] = len(valid)
    summary["invalid_frames"] = int((~valid).sum())
    return summary


def _mean(value: np.ndarray, mask: np.ndarray | None = None) -> float:
    value = value if mask is None else value[mask]
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
    header = ["dataset", "estimator", "body_representation", "sequence", "name", "frames", "method"]
    metric_names: list[str] = []
    autocast = devices.autocast_dtype(device, cfg.TRAIN.AUTOCAST_DTYPE) if cfg.TRAIN.AUTOCAST else None
    for data in datasets:
        timer = Timer()
        methods: dict[str, Method] = {
            "input": input_method(data),
            "smoothnet": network_method(
                model,
                data,
                device=device,
                step=cfg.EVALUATE.SLIDE_WINDOW_STEP_SIZE,
                normalize=normalize,
                autocast=autocast,
                timer=timer,
            ),
            **{name: filter_method(name, data, cfg) for name in filter_names(cfg.EVALUATE.TRADITION)},
        }
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
        rows.append(result_row(data, model.window_size, cfg.EVALUATE.PRETRAINED, summary))
        metric_names += [metric for metric in data.facts.metrics if metric not in metric_names]
        for result in kept:
            one = summarise([result])
            start = [*list(rows[-1].values())[:3], result.index, result.name, len(result.valid)]
            lines += [(start, name, one) for name in methods]
    table = [
        [*start, name, *(one.get(f"{name}_{metric}", "") for metric in metric_names)] for start, name, one in lines
    ]
    return rows, ([*header, *metric_names], table)
