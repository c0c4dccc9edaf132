"""Training: batch, forward, backward, step, log, save, evaluate; one plain loop.

What is random in a step (the order of windows, dropout) follows from the seed, the epoch and the step alone. A
checkpoint that holds these numbers, the weights and the optimiser is therefore all that an exact resume needs.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm
from yacs.config import CfgNode

from ..dataset.poses import PoseData
from ..dataset.windows import TrainingWindows, derive_seed, epoch_batches, epoch_order, training_windows
from ..models.normalize import normalize
from ..models.smoothnet import SmoothNet
from ..utils import device as devices
from ..utils.errors import SmoothNetError
from ..utils.files import write_json
from . import evaluation
from .checkpoints import read_checkpoint, save_checkpoint
from .config import as_plain
from .loss import smoothnet_loss
from .plots import plot_history
from .report import result_row

log = logging.getLogger(__name__)

LAST, BEST = "checkpoint.pth.tar", "best.pth.tar"


@dataclass
class Position:
    """Where a run is: finished epochs, batches done in the current one, and iterations altogether."""

    epoch: int = 0
    batch: int = 0
    iteration: int = 0


def build_model(cfg: CfgNode) -> SmoothNet:
    """A fresh network; its weights are drawn on the CPU, so they are the same for every device."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(cfg.SEED_VALUE)
        return SmoothNet(
            window_size=cfg.MODEL.SLIDE_WINDOW_SIZE,
            hidden_size=cfg.MODEL.HIDDEN_SIZE,
            res_hidden_size=cfg.MODEL.RES_HIDDEN_SIZE,
            num_blocks=cfg.MODEL.NUM_BLOCK,
            dropout=cfg.MODEL.DROPOUT,
        )


def make_optimizer(model: nn.Module, cfg: CfgNode) -> torch.optim.Optimizer:
    """Adam with amsgrad and no weight decay, as published."""
    return torch.optim.Adam(model.parameters(), lr=cfg.TRAIN.LR, amsgrad=True)


def train(
    cfg: CfgNode,
    train_sets: list[PoseData],
    test_sets: list[PoseData],
    run: Path,
    device: torch.device,
    *,
    body: Any = None,
    stop: Callable[[], bool] = lambda: False,
    progress: bool = True,
) -> bool:
    """Train and leave everything in the run folder.

    Args:
        cfg: the resolved settings.
        train_sets, test_sets: the datasets, in the order of the names.
        run: folder for checkpoints (epoch_N.pth.tar, checkpoint.pth.tar, best.pth.tar), metrics.json, TensorBoard.
        body: SMPL, for evaluating smpl datasets.
        stop: asked after each step; True ends the run there with a checkpoint.
        progress: show a progress bar.

    Returns:
        True if the run came to its end, False if `stop` ended it.

    Raises:
        SmoothNetError: the loss is not finite; nothing to train on; an unusable checkpoint.
    """
    from torch.utils.tensorboard import SummaryWriter  # takes seconds to import, and only training needs it

    sets = [training_windows(data, cfg.MODEL.SLIDE_WINDOW_SIZE, cfg.TRAIN.SAMPLING) for data in train_sets]
    sets = place(sets, cfg.TRAIN.DATA_DEVICE, device)
    model = build_model(cfg).to(device)
    optimizer = make_optimizer(model, cfg)
    position, history, best, epoch_loss = Position(), [], math.nan, (0.0, 0)
    resumed = find_resume(cfg.TRAIN.RESUME, run)
    if resumed is not None:
        position, history, best, epoch_loss = restore(resumed, model, optimizer, cfg)
    batches = epoch_batches([len(s) for s in sets], cfg.TRAIN.BATCH_SIZE, cfg.TRAIN.SAMPLING == "legacy")
    describe(cfg, model, sets, batches)
    baselines = [
        [evaluation.without_poses(r) for r in evaluation.evaluate_sequences(
            data, {"input": evaluation.input_method(data)}, root_relative=cfg.EVALUATE.ROOT_RELATIVE, body=body
        )] if cfg.TRAIN.VALIDATE else [] for data in test_sets
    ]  # fmt: skip

    def save(*names: str) -> None:
        content = {
            "epoch": position.epoch,
            "batch": position.batch,
            "iteration": position.iteration,
            "state_dict": model.state_dict(),
            "performance": history[-1].get("performance") if history else None,
            "optimizer": optimizer.state_dict(),
            "best": best,
            "history": history,
            "epoch_loss": (meter.total, meter.windows) if position.batch else (0.0, 0),
            "normalize": cfg.MODEL.NORMALIZE,
            "config": as_plain(cfg),
        }
        for name in names:
            save_checkpoint(run / name, content)

    writer = SummaryWriter(str(run / "tensorboard"))
    finished = True
    try:
        while position.epoch < cfg.TRAIN.EPOCH and not _steps_done(cfg, position):
            orders = [epoch_order(len(s), cfg.SEED_VALUE, position.epoch, d) for d, s in enumerate(sets)]
            for group in optimizer.param_groups:
                group["lr"] = cfg.TRAIN.LR * cfg.TRAIN.LRDECAY**position.epoch
            meter = Meter(cfg.TRAIN.LOG_EVERY if device.type != "cpu" else 1, *epoch_loss)
            epoch_loss = (0.0, 0)
            bar = tqdm(
                total=len(batches),
                initial=position.batch,
                desc=f"epoch {position.epoch + 1}/{cfg.TRAIN.EPOCH}",
                unit="batch",
                disable=not progress,
                leave=False,
            )
            model.train()
            while position.batch < len(batches):
                d, k = batches[position.batch]
                order = orders[d][k * cfg.TRAIN.BATCH_SIZE : (k + 1) * cfg.TRAIN.BATCH_SIZE]
                seed = derive_seed(cfg.SEED_VALUE, position.epoch, position.batch, 1)
                loss = train_step(model, optimizer, sets[d], order, cfg, device, seed, position)
                position.batch += 1
                position.iteration += 1
                if meter.add(loss, len(order), position):
                    bar.set_postfix_str(f"loss {meter.loss:.5f}, {meter.rate:.0f} windows/s", refresh=False)
                    writer.add_scalar("train/loss", meter.loss, position.iteration)
                bar.update()
                if stop():
                    finished = False
                    break
                if _steps_done(cfg, position):
                    break
            bar.close()
            meter.read(position)
            if not finished:
                save(LAST)
                break
            if position.batch == len(batches):
                position.epoch, position.batch = position.epoch + 1, 0
            entry = {"epoch": position.epoch, "iteration": position.iteration, "loss": meter.mean}
            entry["lr"] = optimizer.param_groups[0]["lr"]
            if cfg.TRAIN.VALIDATE:
                rows = validate(model, test_sets, baselines, cfg, device, body)
                entry["results"] = rows
                entry["performance"] = performance(rows)
                for row in rows:
                    for key, value in row["metrics"].items():
                        writer.add_scalar(f"{row['dataset']}_{row['estimator']}/{key}", value, position.epoch)
            writer.add_scalar("train/epoch_loss", meter.mean, position.epoch)
            history.append(entry)
            log.info(
                "epoch %d: loss %.6f, lr %.3g, %.0f windows/s%s",
                position.epoch, meter.mean, entry["lr"], meter.rate, _brief(entry.get("results", [])),
            )  # fmt: skip
            names = [LAST] if position.batch else [LAST, f"epoch_{position.epoch}.pth.tar"]
            if better(entry.get("performance"), best):
                best = entry["performance"]
                names.append(BEST)
            save(*names)
            write_json(run / "metrics.json", {"results": entry.get("results", []), "history": history})
    finally:
        writer.close()
        if history:
            plot_history(history, run / "curves.png")
    return finished


def train_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    windows: TrainingWindows,
    order: torch.Tensor,
    cfg: CfgNode,
    device: torch.device,
    seed: int,
    position: Position,
) -> torch.Tensor:
    """One iteration on the windows numbered `order`; returns the loss, on the device."""
    x, truth, mask = (None if t is None else t.to(device) for t in windows.batch(order))
    if cfg.MODEL.NORMALIZE != "none":
        x, offset, scale = normalize(x, windows.dims)
        truth = (truth - offset) / scale
    devices.manual_seed(device, seed)
    optimizer.zero_grad(set_to_none=True)
    loss, _, _ = smoothnet_loss(model(x), truth, cfg.LOSS.W_POS, cfg.LOSS.W_ACCEL, mask)
    loss.backward()
    loss = loss.detach()
    if device.type == "cpu":
        check_finite(float(loss), position)
    optimizer.step()
    return loss


def check_finite(loss: float, position: Position) -> None:
    """Raise if the loss at `position` cannot be trained on."""
    if not math.isfinite(loss):
        raise SmoothNetError(
            f"the loss became {loss} at epoch {position.epoch + 1}, step {position.batch + 1}; the last good checkpoint is "
            "kept; lower the learning rate (--lr) or look at the data of that epoch"
        )


class Meter:
    """Mean loss and speed of an epoch, reading losses from the device only every `every` iterations."""

    def __init__(self, every: int, total: float = 0.0, windows: int = 0):
        self.every = every
        self.pending: list[tuple[torch.Tensor, int]] = []
        self.total, self.windows, self.loss = total, windows, math.nan
        self.before = windows  # seen before a resume, which the speed leaves out
        self.start = time.perf_counter()

    def add(self, loss: torch.Tensor, windows: int, position: Position) -> bool:
        """Note one iteration; True when the losses were read."""
        self.pending.append((loss, windows))
        if len(self.pending) < self.every:
            return False
        self.read(position)
        return True

    def read(self, position: Position) -> None:
        """Read the pending losses; raises SmoothNetError for the first that is not finite."""
        if not self.pending:
            return
        losses = torch.stack([loss for loss, _ in self.pending]).tolist()
        for i, (loss, (_, windows)) in enumerate(zip(losses, self.pending, strict=True)):
            check_finite(loss, Position(position.epoch, position.batch - len(losses) + i))
            self.total += loss * windows
            self.windows += windows
        self.loss = losses[-1]
        self.pending.clear()

    @property
    def mean(self) -> float:
        return self.total / max(self.windows, 1)

    @property
    def rate(self) -> float:
        return (self.windows - self.before) / max(time.perf_counter() - self.start, 1e-9)


def place(sets: list[TrainingWindows], where: str, device: torch.device) -> list[TrainingWindows]:
    """Put the frames on the device if asked for, or if they take less than half of its free memory."""
    if where == "cpu" or device.type == "cpu":
        return sets
    size = sum(s.detected.nbytes + s.groundtruth.nbytes for s in sets)
    free = devices.memory_free(device)
    if where == "auto" and free is not None and size > free / 2:
        log.info("the frames (%.1f GB) stay in host memory: the device has %.1f GB free", size / 1e9, free / 1e9)
        return sets
    return [s.to(device) for s in sets]


def find_resume(setting: str, run: Path) -> Path | None:
    """The checkpoint that TRAIN.RESUME means: a path, or `auto` for the run folder's last one if there is one."""
    if not setting:
        return None
    path = run / LAST if setting == "auto" else Path(setting)
    if setting == "auto" and not path.exists():
        log.info("nothing to resume in %s: a fresh start", run)
        return None
    return path


def restore(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, cfg: CfgNode
) -> tuple[Position, list[dict[str, Any]], float, tuple[float, int]]:
    """Load a checkpoint of ours into the model and the optimiser.

    Raises:
        SmoothNetError: it is not one that training wrote, or of another network.
    """
    checkpoint = read_checkpoint(path)
    if "iteration" not in checkpoint or not checkpoint.get("optimizer"):
        raise SmoothNetError(f"{path} cannot be resumed: it holds weights but not the state of a run")
    if checkpoint.get("normalize", "none") != cfg.MODEL.NORMALIZE:
        raise SmoothNetError(f"{path} was trained with MODEL.NORMALIZE {checkpoint.get('normalize')}, not {cfg.MODEL.NORMALIZE}")
    try:
        model.load_state_dict(checkpoint["state_dict"])
        optimizer.load_state_dict(checkpoint["optimizer"])
    except (RuntimeError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise SmoothNetError(f"{path} does not fit the network of this run: {reason}") from error
    position = Position(checkpoint["epoch"], checkpoint["batch"], checkpoint["iteration"])
    log.info("resumed from %s: epoch %d, step %d", path, position.epoch + 1, position.batch + 1)
    return position, checkpoint["history"], checkpoint["best"], tuple(checkpoint["epoch_loss"])


def validate(
    model: SmoothNet,
    test_sets: list[PoseData],
    baselines: list[list[evaluation.SequenceResult]],
    cfg: CfgNode,
    device: torch.device,
    body: Any,
) -> list[dict[str, Any]]:
    """Evaluate the network on every test set; the input's figures come from `baselines`, computed once."""
    model.eval()
    rows = []
    for data, baseline in zip(test_sets, baselines, strict=True):
        method = evaluation.network_method(
            model, data, device=device, step=cfg.EVALUATE.SLIDE_WINDOW_STEP_SIZE, normalize=cfg.MODEL.NORMALIZE
        )
        results = evaluation.evaluate_sequences(
            data, {"smoothnet": method}, root_relative=cfg.EVALUATE.ROOT_RELATIVE, body=body
        )
        joined = [
            evaluation.with_values(base, result.values) for base, result in zip(baseline, results, strict=True)
        ]
        rows.append(result_row(data, cfg.MODEL.SLIDE_WINDOW_SIZE, "", evaluation.summarise(joined)))
    return rows


def performance(rows: list[dict[str, Any]]) -> float:
    """One number for "best": the mean over datasets of the output's MPJPE, or of 1 - PCK@0.05; lower is better."""
    values = []
    for row in rows:
        metrics = row["metrics"]
        values.append(metrics["smoothnet_mpjpe"] if "smoothnet_mpjpe" in metrics else 1 - metrics["smoothnet_pck_005"])
    return sum(values) / len(values)


def better(value: float | None, best: float) -> bool:
    return value is not None and not math.isnan(value) and (math.isnan(best) or value < best)


def _steps_done(cfg: CfgNode, position: Position) -> bool:
    return 0 <= cfg.TRAIN.STEP <= position.iteration


def _brief(rows: list[dict[str, Any]]) -> str:
    parts = []
    for row in rows:
        for metric in ("mpjpe", "accel", "pck_005"):
            if f"smoothnet_{metric}" in row["metrics"]:
                parts.append(f"{metric} {row['metrics'][f'input_{metric}']:.4g} -> {row['metrics'][f'smoothnet_{metric}']:.4g}")
    return ", " + ", ".join(parts) if parts else ""


def describe(cfg: CfgNode, model: SmoothNet, sets: list[TrainingWindows], batches: list[tuple[int, int]]) -> None:
    """Log the plan before the work starts."""
    from ..models.smoothnet import count_parameters, multiply_adds

    channels = sets[0].detected.shape[1]
    log.info(
        "network: %d parameters, %d multiply-adds per channel and window, %.1f M per frame at step 1",
        count_parameters(model), multiply_adds(model), multiply_adds(model) * channels / 1e6,
    )  # fmt: skip
    log.info(
        "plan: %d windows of %d frames, %d batches of %d an epoch, %d epochs",
        sum(len(s) for s in sets), cfg.MODEL.SLIDE_WINDOW_SIZE, len(batches), cfg.TRAIN.BATCH_SIZE, cfg.TRAIN.EPOCH,
    )  # fmt: skip
