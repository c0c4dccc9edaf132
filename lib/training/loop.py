# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Training: batch, forward, backward, step, log, save, evaluate; one plain loop.

What is random in a step (the order of windows, dropout) follows from the seed, the epoch and the step alone. A
checkpoint that holds these numbers, the weights and the optimiser is therefore all that an exact resume needs.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import torch
from torch import nn
from yacs.config import CfgNode

from ..config import as_yaml
from ..dataset.poses import PoseData
from ..dataset.windows import derive_seed
from ..evaluation.metrics import curve_metrics
from ..models.fused import ONEDNN, fastest_products
from ..models.kinds import kind_of, multiply_adds
from ..models.smoothnet import SmoothNet, count_parameters
from ..utils import device as devices
from ..utils.distributed import World
from ..utils.errors import SmoothNetError
from ..utils.files import write_json, write_text
from .curves import plot_history
from .loss import Batch, Loss
from .meter import Meter, check_finite
from .objective import TrainingObjective
from .recipes import Recipe, build_model, find_recipe
from .records import Records
from .sources import Source
from .state import BEST, LAST, Position, TrainingState, find_resume, restore
from .validation import Exam, better, gives_up, input_scores, performance, validate

log = logging.getLogger(__name__)
OUT_OF_MEMORY = (
    "set TRAIN.MICRO_BATCH, windows that go through the network at once (--opts TRAIN.MICRO_BATCH 128; the result "
    "stays the same), keep the frames in host memory (TRAIN.DATA_DEVICE cpu), or lower --batch_size"
)


def train(
    cfg: CfgNode,
    train_data: Any,
    test_sets: list[PoseData],
    run: Path,
    device: torch.device,
    *,
    world: World = World(),  # noqa: B008  (frozen)
    body: Any = None,
    stop: Callable[[], bool] = lambda: False,
    progress: bool = True,
    echo: TextIO | None = None,
) -> bool:
    """Train and leave everything in the run folder.

    Args:
        cfg: the resolved settings.
        train_data: what the recipe's `data` read; for SmoothNet the datasets, in the order of the names.
        test_sets: datasets to evaluate on after every epoch.
        run: folder for checkpoints (epoch_N.pth.tar, checkpoint.pth.tar, best.pth.tar), metrics.json, TensorBoard.
        world: the processes that train together, each on its own part of every batch; rank 0 writes the files.
        body: SMPL, for evaluating smpl datasets.
        stop: asked after each step; True ends the run there with a checkpoint.
        progress: show a progress bar.
        echo: where the ModelZoo's log lines go besides dllogger_rank<N>.log.

    Returns:
        True if the run came to its end, False if `stop` ended it.

    Raises:
        SmoothNetError: the loss is not finite; nothing to train on; an unusable checkpoint.
    """
    recipe = find_recipe(cfg.MODEL.NAME)
    source = recipe.source(train_data, cfg, world, device)
    dtype = devices.autocast_dtype(device, cfg.TRAIN.AUTOCAST_DTYPE) if cfg.TRAIN.AUTOCAST else None
    model = build_model(cfg).to(device)
    scaled = dtype == torch.float16 and cfg.TRAIN.GRAD_SCALE > 0
    scaler = devices.make_grad_scaler(device, scaled, cfg.TRAIN.GRAD_SCALE or 1.0)
    average = copy.deepcopy(model).requires_grad_(False) if cfg.TRAIN.AVERAGE else None
    state = TrainingState(model, recipe.optimizer(model, cfg), scaler, average)
    resumed = find_resume(cfg.TRAIN.RESUME, run, world)
    if resumed is not None:
        restore(state, resumed, cfg, world)
    source.begin(state.position.epoch)
    if state.position.batch > len(source):
        raise SmoothNetError(
            f"{resumed} stands at batch {state.position.batch + 1}, but an epoch of this run has {len(source)}: it was "
            "trained on other data, or is damaged"
        )
    if world.main:
        write_text(run / "config.yaml", as_yaml(cfg))
    if resumed is not None and _done(cfg, state.position):
        log.info("nothing is left to train: the run has had its epochs or steps; more with --epoch, or --step")
    loss = recipe.loss(cfg)
    by_hand = device.type == "cpu" and dtype != torch.float16 and not cfg.TRAIN.COMPILE  # see TrainingObjective
    if not state.products and by_hand:
        batch = source.size // world.size
        state.products = fastest_products(model, batch, source.channels, dtype or torch.float32)
    objective = world.wrap(make_objective(model, loss, cfg, source, device, state.products))
    for setting in recipe.ignored(cfg) if world.main else ():
        log.warning("%s has no effect on MODEL.NAME %s", setting, cfg.MODEL.NAME)
    describe(cfg, model, source, world, dtype, state.products if by_hand else "")
    exam_sets = []
    for data in test_sets if cfg.TRAIN.VALIDATE else []:
        share = world.share(data.offsets.diff().tolist())
        exam_sets.append((data, share, input_scores(data, share, cfg, body)))
    exam = Exam(cfg, exam_sets, device, body, world, loss, kind_of(model)[1].by_joint)

    try:
        with Records(cfg, run, device, world, progress, echo) as records:
            job = Job(cfg, device, dtype, world, recipe, source, loss, objective, records, stop)
            while not _done(cfg, state.position):
                meter, stopped = train_epoch(job, state)
                if stopped:
                    if world.main:
                        state.save(run, [LAST], cfg, world)
                    return False
                rows = validate(exam, state.result, state.position, records.lines)
                close_epoch(job, state, run, rows, meter.rate * world.size)
                if world.from_main(gives_up(state.history, cfg.TRAIN.EARLY_STOP)):
                    log.info("no better result in the last %d epochs: the run ends here", cfg.TRAIN.EARLY_STOP)
                    break
    finally:
        if world.main and state.history:
            try:
                plot_history(state.history, run / "curves.png")
            except Exception as error:  # of matplotlib or the disk; a picture is no reason to fail, nor to hide one
                log.warning("curves.png was not drawn: %s", error)
    return True


@dataclass(frozen=True)
class Job:
    """What stays the same while a run goes on; see train."""

    cfg: CfgNode
    device: torch.device
    dtype: torch.dtype | None  # of the matrix products, None for float32
    world: World
    recipe: Recipe
    source: Source
    loss: Loss
    objective: nn.Module
    records: Records
    stop: Callable[[], bool]


def train_epoch(job: Job, state: TrainingState) -> tuple[Meter, bool]:
    """The rest of the current epoch, or as far as TRAIN.STEP goes; (its meter, whether `stop` ended it)."""
    cfg, world, source, position = job.cfg, job.world, job.source, state.position
    source.begin(position.epoch)
    state.model.train()
    meter = Meter(cfg.TRAIN.LOG_EVERY if job.device.type != "cpu" else 1, job.records.lines, *state.epoch_loss)
    stopped = False
    with job.records.bar(position, len(source)) as bar:
        while position.batch < len(source) and not stopped and not _steps_done(cfg, position):
            seed = derive_seed(cfg.SEED_VALUE, position.epoch, position.batch, 1 + world.rank)
            batch = source.batch(position.batch, seed)
            loss = train_step(job, state, batch, seed)
            position.batch += 1
            position.iteration += 1
            state.follow(cfg.TRAIN.AVERAGE)
            lr = state.optimizer.param_groups[0]["lr"]
            if meter.add(loss, len(batch.x), batch.everyone / world.size, lr, position):
                job.records.step(position, meter, bar)
            bar.update()
            job.records.profiled()
            stopped = world.any(job.stop())
    meter.read(position)
    parts = world.gather((meter.total, meter.windows))
    state.epoch_loss = sum(total for total, _ in parts), sum(windows for _, windows in parts)
    return meter, stopped


def train_step(job: Job, state: TrainingState, batch: Batch, seed: int) -> torch.Tensor:
    """One iteration; returns the loss, on the device. Loss and weights are float32 whatever the products are.

    Args:
        seed: of the dropout masks.
    """
    scaler, position = state.scaler, state.position  # the scaler is for float16; it skips steps that overflow
    for group in state.optimizer.param_groups:
        group["lr"] = job.recipe.rate(job.cfg, position.epoch, position.batch / len(job.source))
    devices.manual_seed(job.device, seed)
    state.optimizer.zero_grad(set_to_none=True)
    scale = scaler.get_scale()
    factor = scaler.scale(torch.ones((), device=job.device)) if job.dtype == torch.float16 else None
    # DDP takes the mean over processes; so divided, it is the mean over the windows of all
    counts = job.loss.counts((batch.everyone, *batch.truth.shape[1:]), batch.everyone_mask)
    counts = [count / job.world.size for count in counts]
    with devices.autocast(job.device, job.dtype):
        loss = job.objective(batch.x, batch.truth, batch.mask, seed, factor, counts, batch.fps)[0]
    scaler.scale(loss).backward()
    loss = loss.detach()
    if job.device.type == "cpu":
        check_finite(float(loss), position)
    if job.cfg.TRAIN.CLIP:
        scaler.unscale_(state.optimizer)
        nn.utils.clip_grad_norm_(state.model.parameters(), job.cfg.TRAIN.CLIP)
    scaler.step(state.optimizer)
    scaler.update()
    position.overflows += scaler.get_scale() < scale
    return loss


def close_epoch(job: Job, state: TrainingState, run: Path, rows: list[dict[str, Any]], rate: float) -> None:
    """Note the epoch's loss and results (`rows`), write its checkpoints, and move on to the next epoch."""
    position = state.position
    mean = state.epoch_loss[0] / max(state.epoch_loss[1], 1)
    whole = position.batch == len(job.source)
    if whole:
        position.epoch, position.batch, state.epoch_loss = position.epoch + 1, 0, (0.0, 0)
    if not job.world.main:
        return
    lr = state.optimizer.param_groups[0]["lr"]
    entry = {"epoch": position.epoch, "iteration": position.iteration, "loss": mean, "lr": lr}
    entry["overflows"] = position.overflows
    if rows:
        entry["results"] = rows
        entry["performance"] = performance(rows)
    job.records.epoch(position, mean, rows)
    state.history.append(entry)
    log.info(
        "epoch %d: loss %.6f, lr %.3g, %.0f windows/s%s%s",
        position.epoch, mean, lr, rate, _brief(rows),
        f", {position.overflows} overflowed steps so far" if position.overflows else "",
    )  # fmt: skip
    names = [f"epoch_{position.epoch}.pth.tar"] if whole else []
    if better(entry.get("performance"), state.best):
        state.best = entry["performance"]
        names.append(BEST)
    write_json(run / "metrics.json", {"results": rows, "history": state.history})
    # The one to resume from comes last: what a kill before it keeps back, the resumed run writes.
    state.save(run, [*names, LAST], job.cfg, job.world)


def make_objective(
    model: nn.Module, loss: Loss, cfg: CfgNode, source: Source, device: torch.device, products: str = ""
) -> TrainingObjective:
    """The network with its loss; large batches are cut to pieces that fit the device's memory."""
    micro_batch = cfg.TRAIN.MICRO_BATCH or fitting_micro_batch(model, source.channels, cfg.TRAIN.BATCH_SIZE, device)
    compiled = devices.compiled(model, device) if cfg.TRAIN.COMPILE else None
    return TrainingObjective(model, loss, micro_batch, compiled, products=products or ONEDNN)


def fitting_micro_batch(model: nn.Module, channels: int, batch_size: int, device: torch.device) -> int:
    """Windows whose activations take about half of the device's free memory; 0 if the whole batch fits or unknown."""
    free, activations = devices.memory_free(device), kind_of(model)[1].activations
    if free is None or activations is None:
        return 0
    fitting = max(free // 2 // (4 * activations(model, channels)), 1)
    return 0 if fitting >= batch_size else int(fitting)


def _steps_done(cfg: CfgNode, position: Position) -> bool:
    return 0 <= cfg.TRAIN.STEP <= position.iteration


def _done(cfg: CfgNode, position: Position) -> bool:
    return position.epoch >= cfg.TRAIN.EPOCH or _steps_done(cfg, position)


def _brief(rows: list[dict[str, Any]]) -> str:
    parts = []
    for row in rows:
        figures = row["metrics"]
        for metric in curve_metrics(figures):
            name = metric.name
            parts.append(f"{name} {figures[f'input_{name}']:.4g} -> {figures[f'smoothnet_{name}']:.4g}")
    return ", " + ", ".join(parts) if parts else ""


def describe(
    cfg: CfgNode, model: nn.Module, source: Source, world: World, dtype: torch.dtype | None, products: str
) -> None:
    """Log the plan before the work starts."""
    log.info(
        "network: %d parameters, %d multiply-adds per channel and window, %.1f M per frame at step 1",
        count_parameters(model), multiply_adds(model), multiply_adds(model) * source.channels / 1e6,
    )  # fmt: skip
    log.info(
        "plan: %d windows of %d frames, %d batches of %d an epoch, %d epochs, %d %s, %s%s",
        source.windows, cfg.MODEL.SLIDE_WINDOW_SIZE, len(source), source.size,
        cfg.TRAIN.EPOCH, world.size, "process" if world.size == 1 else "processes",
        "float32" if dtype is None else f"products in {str(dtype).removeprefix('torch.')}",
        f", products by {products}" if type(model) is SmoothNet and products else "",
    )  # fmt: skip
