# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The evaluation after each epoch of training, and what follows from it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from yacs.config import CfgNode

from ..dataset.poses import PoseData
from ..evaluation import evaluate as evaluation
from ..evaluation.metrics import headline
from ..evaluation.report import result_row
from ..utils.distributed import World
from ..utils.dllogger import IterationLog
from .loss import Batch, Loss
from .meter import check_finite
from .state import Position


@dataclass(frozen=True)
class Exam:
    """What a run's networks are evaluated on.

    Attributes:
        sets: each test set with the numbers of the sequences that this process evaluates, and the input's figures of
            these, which stay the same for the whole run.
        body: SMPL, for smpl datasets.
        loss: the training loss, for val.loss.
        by_joint: whether the loss takes (N, K, D, W) windows, not (N, C, W).
    """

    cfg: CfgNode
    sets: list[tuple[PoseData, list[int], list[evaluation.SequenceResult]]]
    device: torch.device
    body: Any
    world: World
    loss: Loss
    by_joint: bool


def input_scores(data: PoseData, share: list[int], cfg: CfgNode, body: Any) -> list[evaluation.SequenceResult]:
    """The input's figures of some sequences of a test set."""
    methods = {"input": evaluation.input_method(data)}
    relative = cfg.EVALUATE.ROOT_RELATIVE
    results = evaluation.evaluate_sequences(data, methods, root_relative=relative, body=body, sequences=share)
    return [evaluation.without_poses(result) for result in results]


def validate(exam: Exam, model: nn.Module, position: Position, lines: IterationLog) -> list[dict[str, Any]]:
    """Evaluate the network on every test set.

    Every process evaluates its share of the sequences and writes its val.loss (the training loss, of smoothed whole
    sequences) and the figures of all of them to `lines`. The rows are rank 0's; other processes, and runs without test
    sets, get an empty list.
    """
    model.eval()
    cfg, rows, timer = exam.cfg, [], evaluation.Timer()
    losses: list[tuple[float, int]] = []  # and frames
    for data, share, baseline in exam.sets:
        method = evaluation.network_method(
            model,
            data,
            device=exam.device,
            step=cfg.EVALUATE.SLIDE_WINDOW_STEP_SIZE,
            normalize=cfg.MODEL.NORMALIZE,
            timer=timer,
            fps=evaluation.rate_of(data, cfg),
        )
        results = evaluation.evaluate_sequences(
            data,
            {"smoothnet": _with_loss(method, data, exam, losses)},
            root_relative=cfg.EVALUATE.ROOT_RELATIVE,
            body=exam.body,
            sequences=share,
            beside=exam.device.type != "cpu",
        )
        mine = [evaluation.with_values(base, result.values) for base, result in zip(baseline, results, strict=True)]
        everyone = [result for part in exam.world.gather(mine) for result in part]
        if exam.world.main:
            rows.append(result_row(data, cfg.MODEL.SLIDE_WINDOW_SIZE, "", evaluation.summarise(everyone)))
    frames = sum(count for _, count in losses)
    values = {}
    if frames:
        loss = sum(loss * count for loss, count in losses) / frames
        check_finite(loss, position)  # the last step of the epoch may have ruined the weights
        values = {"val.loss": loss, "val.ips": frames / max(timer.seconds, 1e-9)}
    if exam.sets:
        lines.log(position.epoch, position.batch - 1, **values, **logged_metrics(exam.world.from_main(rows)))
    return rows


def logged_metrics(rows: list[dict[str, Any]]) -> dict[str, float]:
    """The network's figures by the names of the ModelZoo's log: val.mpjpe; of several datasets val.<name>.mpjpe."""
    values = {}
    for row in rows:
        name = f"{row['dataset']}_{row['estimator']}_{row['body_representation']}."
        for key, value in row["metrics"].items():
            if key.startswith("smoothnet_"):
                values[f"val.{name if len(rows) > 1 else ''}{key.removeprefix('smoothnet_')}"] = value
    return values


def _with_loss(
    method: evaluation.Method, data: PoseData, exam: Exam, losses: list[tuple[float, int]]
) -> evaluation.Method:
    """The method, noting in `losses` the loss and the frames of every sequence it smooths."""

    def window(frames: torch.Tensor) -> torch.Tensor:
        return frames.T.reshape(1, *((-1, data.facts.dims) if exam.by_joint else (-1,)), len(frames))

    def smooth(i: int) -> Any:
        y, rows = method(i), data.slice(i)
        batch = Batch(window(data.detected[rows]), window(data.groundtruth[rows]))
        losses.append((float(exam.loss(window(torch.from_numpy(y)), batch)[0]), len(y)))
        return y

    return smooth


def performance(rows: list[dict[str, Any]]) -> float:
    """One number for "best": the mean over datasets of the output's MPJPE, or of 1 - PCK@0.05; lower is better."""
    return sum(headline(row["metrics"]) for row in rows) / len(rows)


def better(value: float | None, best: float) -> bool:
    return value is not None and not math.isnan(value) and (math.isnan(best) or value < best)


def gives_up(history: list[dict[str, Any]], patience: int) -> bool:
    """Whether the last `patience` evaluations (0: never) brought nothing better than those before."""
    values = [entry["performance"] for entry in history if not math.isnan(entry.get("performance", math.nan))]
    return 0 < patience < len(values) and min(values[:-patience]) <= min(values[-patience:])
