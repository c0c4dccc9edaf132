# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Does a device compute what the CPU does? `python run_scripts/align.py --device sdaa`

Trains N steps on the device and on the CPU from the same weights and batches, without dropout, and compares losses,
gradients and weights step by step. Without --dataset_name it generates its data. It leaves in the folder of --output

    <device>.log, cpu.log    the log lines of both runs, as the ModelZoo's own script reads them
    loss.jpg                 both curves of the loss and their difference
    steps.csv                for each step: both losses, and how far gradients and weights are apart

and prints pass or fail by the ModelZoo's rule (see loss.py); the exit status is 0 or 1. --autocast applies to the
device alone: the reference stays in float32.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from lib.commands.arguments import Parser, arguments, named_settings, run_main  # noqa: E402

if TYPE_CHECKING:
    import torch

    from lib.utils.tree import CfgNode

DEFAULTS: dict[str, Any] = {  # the arguments it takes, of those of training
    "device": "sdaa", "cfg": str(ROOT / "configs" / "h36m_fcn_3D.yaml"), "dataset_name": None, "estimator": None,
    "body_representation": None, "slide_window_size": None, "batch_size": 128, "step": 100, "lr": None, "seed": None,
    "autocast": False, "opts": [],
}  # fmt: skip
COLUMNS = ("step", "loss_device", "loss_cpu", "loss_error", "gradient_error", "weight_error")


class Steps:
    """What each step of a run was: its gradient and the weights after it, flat, float32.

    Kept in a file, since hundreds of steps of a network do not fit in memory. A step that a GradScaler skipped for an
    overflow has a gradient of NaN; before the first that it did not skip, nothing is known.
    """

    def __init__(self, file: IO[bytes]):
        self.file = file
        self.unknown = self.known = 0  # steps
        self.optimizer: torch.optim.Optimizer | None = None
        self.gradient: np.ndarray | None = None  # of the step that is under way

    def before(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        """The hook before an optimiser's step."""
        self.optimizer = optimizer
        self.gradient = self._flat("grad")

    def after(self) -> bool:
        """The end of a step, as train() asks whether to stop: never."""
        if self.optimizer is None:
            self.unknown += 1
            return False
        weights = self._flat("data")
        gradient = np.full_like(weights, np.nan) if self.gradient is None else self.gradient
        self.file.write(gradient.tobytes() + weights.tobytes())
        self.gradient = None
        self.known += 1
        return False

    def _flat(self, what: str) -> np.ndarray:
        import torch

        assert self.optimizer is not None
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        return torch.cat([getattr(p, what).detach().cpu().float().reshape(-1) for p in parameters]).numpy()

    def read(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(gradient, weights) of each step; a single NaN each where nothing is known."""
        nothing = np.full(1, np.nan, np.float32)
        for _ in range(self.unknown):
            yield nothing, nothing
        size = self.file.tell() // max(self.known, 1)
        self.file.seek(0)
        for _ in range(self.known):
            pair = np.frombuffer(self.file.read(size), np.float32)
            yield pair[: len(pair) // 2], pair[len(pair) // 2 :]


@contextmanager
def observed(steps: Steps) -> Iterator[None]:
    """Note every optimiser step made within."""
    from torch.optim.optimizer import register_optimizer_step_pre_hook

    hook = register_optimizer_step_pre_hook(steps.before)
    try:
        yield
    finally:
        hook.remove()


def run(cfg: CfgNode, data: Any, device: torch.device, folder: Path, file: IO[bytes]) -> tuple[str, Steps]:
    """Train on one device; its log, and what its steps were."""
    from lib.training.loop import OUT_OF_MEMORY, train
    from lib.utils.device import explain_out_of_memory

    folder.mkdir()
    steps = Steps(file)
    with observed(steps), explain_out_of_memory(device, OUT_OF_MEMORY):
        train(cfg, data, [], folder, device, stop=steps.after)
    return (folder / "dllogger_rank0.log").read_text(encoding="utf-8"), steps


def distance(x: np.ndarray, reference: np.ndarray) -> float:
    """|x - reference| / |reference|, Euclidean norms; NaN where one of them has NaN."""
    norm = float(np.linalg.norm(reference))
    return float(np.linalg.norm(x - reference)) / norm if norm else float(np.any(x != reference))


def compare_steps(losses: Sequence[float], reference: Sequence[float], device: Steps, cpu: Steps) -> list[list[float]]:
    """A row of COLUMNS for each step; errors are relative."""
    rows: list[list[float]] = []
    each = zip(losses, reference, device.read(), cpu.read(), strict=True)
    for number, (a, b, (gradient, weights), (gradient_cpu, weights_cpu)) in enumerate(each):
        errors = (distance(gradient, gradient_cpu), distance(weights, weights_cpu))
        rows.append([number, a, b, (a - b) / b if b else float(a != b), *errors])
    return rows


def settings(args: argparse.Namespace, poses: Path) -> CfgNode:
    """The settings of the run on the CPU; that on the device differs in TRAIN.AUTOCAST alone."""
    from lib.config import load_config

    named = named_settings(args)
    if args.dataset_name is None:
        from data.demo import write_demo

        write_demo(poses, 20, 2, 200, 0)
        named |= {"DATASET_NAME": "demo", "ESTIMATOR": "synthetic", "BODY_REPRESENTATION": "3D"}
        named["DATASET.BASE_DIR"] = str(poses)
    cfg = load_config(args.cfg, named, args.opts)
    cfg.defrost()
    cfg.MODEL.DROPOUT = 0.0
    cfg.TRAIN.EPOCH = max(cfg.TRAIN.EPOCH, args.step)
    cfg.TRAIN.AUTOCAST, cfg.TRAIN.VALIDATE, cfg.TRAIN.RESUME, cfg.TRAIN.PROFILER = False, False, "", False
    return cfg


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    what, _, more = (__doc__ or "").partition("\n\n")
    parser = Parser(
        prog="align.py", description=what, epilog=more, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    for argument in arguments("train"):
        if argument.name in DEFAULTS:
            options = {**argument.options, "default": DEFAULTS[argument.name]}
            parser.add_argument(*argument.flags, help=argument.help, **options)
    parser.add_argument("--output", type=Path, default=Path("align"), help="folder for what it leaves (align)")
    args = parser.parse_args(argv)
    if args.step < 1:
        parser.error("--step is at least 1")
    if args.dataset_name is not None and not (args.estimator and args.body_representation):
        parser.error("--dataset_name needs --estimator and --body_representation beside it")
    return args


def main(argv: Sequence[str] | None = None) -> int:
    args = parse(argv)

    import torch

    from lib.training.recipes import find_recipe
    from lib.utils.device import describe_device, select_device
    from lib.utils.errors import SmoothNetError
    from lib.utils.files import write_text
    from run_scripts.loss import compare, plot, print_comparison, read_losses

    device, cpu = select_device(args.device), torch.device("cpu")
    try:
        args.output.mkdir(parents=True, exist_ok=True)
        work = tempfile.TemporaryDirectory(prefix=".align", dir=args.output)
    except OSError as error:
        raise SmoothNetError(f"cannot write to {args.output}: {error.strerror}; name another --output") from error
    with work as name, tempfile.TemporaryFile(dir=name) as a, tempfile.TemporaryFile(dir=name) as b:
        cfg = settings(args, Path(name, "poses"))
        data = find_recipe(cfg.MODEL.NAME).data(cfg)
        print(f"device: {describe_device(device)}{', mixed precision' if args.autocast else ''}\nsteps: {args.step}")
        reference_log, reference = run(cfg, data, cpu, Path(name, "cpu"), a)
        cfg.TRAIN.AUTOCAST = args.autocast
        log, steps = run(cfg, data, device, Path(name, "device"), b)
        losses, reference_losses = read_losses(log), read_losses(reference_log)
        rows = compare_steps(losses, reference_losses, steps, reference)
    label = device.type if device.type != "cpu" else "device"
    write_text(args.output / f"{label}.log", log)
    write_text(args.output / "cpu.log", reference_log)
    table = io.StringIO()
    csv.writer(table, lineterminator="\n").writerows([COLUMNS, *rows])
    write_text(args.output / "steps.csv", table.getvalue())
    plot(losses, reference_losses, args.output / "loss.jpg")

    for column, words in ((4, "gradients"), (5, "weights")):
        errors = [row[column] for row in rows if row[column] == row[column]]  # without NaN
        if errors:
            print(f"{words} apart: {errors[0]:.3e} in the first step, {max(errors):.3e} at most")
    skipped = sum(row[4] != row[4] for row in rows)
    if skipped:
        print(f"steps skipped, as their gradients overflowed: {skipped}")
    print(f"written: {', '.join(str(args.output / x) for x in (f'{label}.log', 'cpu.log', 'loss.jpg', 'steps.csv'))}")
    return print_comparison(compare(losses, reference_losses))


if __name__ == "__main__":
    sys.exit(run_main(main))
