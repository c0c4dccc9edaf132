"""The evaluation after each epoch of training, and what follows from it."""

from __future__ import annotations

import math
from typing import Any

import torch
from yacs.config import CfgNode

from ..dataset.poses import PoseData
from ..evaluation import evaluate as evaluation
from ..evaluation.report import result_row
from ..models.smoothnet import SmoothNet
from ..utils.distributed import World
from ..utils.dllogger import IterationLog
from .loss import smoothnet_loss
from .meter import check_finite
from .state import Position


def input_scores(
    test_sets: list[PoseData], shares: list[list[int]], cfg: CfgNode, body: Any
) -> list[list[evaluation.SequenceResult]]:
    """The input's figures of this process's sequences of each test set: they stay the same for the whole run."""
    scores = []
    for data, share in zip(test_sets, shares, strict=True):
        methods = {"input": evaluation.input_method(data)}
        relative = cfg.EVALUATE.ROOT_RELATIVE
        results = evaluation.evaluate_sequences(data, methods, root_relative=relative, body=body, sequences=share)
        scores.append([evaluation.without_poses(result) for result in results])
    return scores


def validate(
    model: SmoothNet,
    test_sets: list[PoseData],
    shares: list[list[int]],
    baselines: list[list[evaluation.SequenceResult]],
    cfg: CfgNode,
    device: torch.device,
    body: Any,
    world: World,
    lines: IterationLog,
    position: Position,
) -> list[dict[str, Any]]:
    """Evaluate the network on every test set; the input's figures come from `baselines`, computed once.

    Every process evaluates its share of the sequences and writes its val.loss (the training loss, of smoothed whole
    sequences) and the figures of all of them to `lines`. The rows are rank 0's; other processes, and runs without
    validation, get an empty list.
    """
    if not baselines or not cfg.TRAIN.VALIDATE:
        return []
    model.eval()
    rows, losses, timer = [], [], evaluation.Timer()

    def with_loss(method: evaluation.Method, data: PoseData) -> evaluation.Method:
        def smooth(i: int) -> Any:
            y = method(i)
            loss, _, _ = smoothnet_loss(
                torch.from_numpy(y).T[None], data.groundtruth[data.slice(i)].T[None], cfg.LOSS.W_POS, cfg.LOSS.W_ACCEL
            )
            losses.append((float(loss), len(y)))
            return y

        return smooth

    for data, share, baseline in zip(test_sets, shares, baselines, strict=True):
        method = evaluation.network_method(
            model,
            data,
            device=device,
            step=cfg.EVALUATE.SLIDE_WINDOW_STEP_SIZE,
            normalize=cfg.MODEL.NORMALIZE,
            timer=timer,
        )
        results = evaluation.evaluate_sequences(
            data,
            {"smoothnet": with_loss(method, data)},
            root_relative=cfg.EVALUATE.ROOT_RELATIVE,
            body=body,
            sequences=share,
            beside=device.type != "cpu",
        )
        mine = [evaluation.with_values(base, result.values) for base, result in zip(baseline, results, strict=True)]
        everyone = [result for part in world.gather(mine) for result in part]
        if world.main:
            rows.append(result_row(data, cfg.MODEL.SLIDE_WINDOW_SIZE, "", evaluation.summarise(everyone)))
    frames = sum(count for _, count in losses)
    values = {}
    if frames:
        loss = sum(loss * count for loss, count in losses) / frames
        check_finite(loss, position)  # the last step of the epoch may have ruined the weights
        values = {"val.loss": loss, "val.ips": frames / max(timer.seconds, 1e-9)}
    lines.log(position.epoch, position.batch - 1, **values, **logged_metrics(world.from_main(rows)))
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


def performance(rows: list[dict[str, Any]]) -> float:
    """One number for "best": the mean over datasets of the output's MPJPE, or of 1 - PCK@0.05; lower is better."""
    values = []
    for row in rows:
        metrics = row["metrics"]
        values.append(metrics["smoothnet_mpjpe"] if "smoothnet_mpjpe" in metrics else 1 - metrics["smoothnet_pck_005"])
    return sum(values) / len(values)


def better(value: float | None, best: float) -> bool:
    return value is not None and not math.isnan(value) and (math.isnan(best) or value < best)


def gives_up(history: list[dict[str, Any]], patience: int) -> bool:
    """Whether the last `patience` evaluations (0: never) brought nothing better than those before."""
    values = [entry["performance"] for entry in history if not math.isnan(entry.get("performance", math.nan))]
    return 0 < patience < len(values) and min(values[:-patience]) <= min(values[-patience:])
