# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Compare the losses of two logs: `python run_scripts/loss.py --sdaa-log sdaa.log --cuda-log cuda.log`.

The rule of the Tecorigin ModelZoo, over the iterations that both logs have: the run passes if the mean
relative error is at most 5 % or the mean absolute error at most 2e-4, both means signed. In a signed mean
errors can cancel, so the means of the errors' magnitudes are printed as well.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib.commands.arguments import Parser, run_main

LOSS = re.compile(r"rank : 0  train.loss : ([\d\.e-]+)")  # the pattern of the ModelZoo's own script
RELATIVE_LIMIT = 0.05
LARGEST_LOG = 2**30  # bytes
ABSOLUTE_LIMIT = 2e-4


def read_losses(text: str) -> list[float]:
    """The training losses of rank 0 in a log, in order."""
    return [float(match) for match in LOSS.findall(text)]


def compare(losses: Sequence[float], reference: Sequence[float]) -> dict[str, float | int | bool]:
    """Errors of `losses` against `reference` over the iterations both have.

    Returns:
        iterations; mean_relative and mean_absolute (signed means of (x - r) / r and x - r);
        mean_relative_magnitude and mean_absolute_magnitude (means of their absolute values); passed.

    Raises:
        SmoothNetError: one of them is empty.
    """
    from lib.utils.errors import SmoothNetError

    pairs = list(zip(losses, reference, strict=False))
    if not pairs:
        raise SmoothNetError("one of the logs has no line `rank : 0  train.loss : ...` to compare")
    absolute = [x - r for x, r in pairs]
    relative = [(x - r) / r if r else (0.0 if x == r else float("inf")) for x, r in pairs]
    n = len(pairs)
    result = {
        "iterations": n,
        "mean_relative": sum(relative) / n,
        "mean_absolute": sum(absolute) / n,
        "mean_relative_magnitude": sum(map(abs, relative)) / n,
        "mean_absolute_magnitude": sum(map(abs, absolute)) / n,
    }
    result["passed"] = abs(result["mean_relative"]) <= RELATIVE_LIMIT or abs(result["mean_absolute"]) <= ABSOLUTE_LIMIT
    return result


@np.errstate(over="ignore")  # matplotlib's margin above a loss of 1e300
def plot(losses: Sequence[float], reference: Sequence[float], path: Path) -> None:
    """Write both curves and their difference as a picture: a JPEG if that is the path's ending, else a PNG."""
    from matplotlib.figure import Figure

    from lib.utils.files import atomic_write

    n = min(len(losses), len(reference))
    figure = Figure(figsize=(8, 6), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    top.plot(reference[:n], label="reference", color="tab:orange")
    top.plot(losses[:n], label="device", color="tab:blue", linestyle="--")
    top.set(ylabel="train.loss", yscale="log")
    top.legend()
    bottom.plot([x - r for x, r in zip(losses, reference, strict=False)], color="tab:red")
    bottom.set(xlabel="iteration", ylabel="device - reference")
    for axis in (top, bottom):
        axis.grid(alpha=0.3)
    with atomic_write(path) as file:
        figure.savefig(file, format="jpeg" if path.suffix.lower() in (".jpg", ".jpeg") else "png", dpi=110)


def read_log(path: Path) -> list[float]:
    """The losses of a log file.

    Raises:
        SmoothNetError: it cannot be read or has no loss.
    """
    from lib.utils.errors import SmoothNetError
    from lib.utils.files import read_bounded

    try:
        losses = read_losses(read_bounded(path, LARGEST_LOG, "no log of a training is").decode("utf-8", "replace"))
    except ValueError as error:
        raise SmoothNetError(f"the log {path} holds a loss that is no number: {error}") from error
    if not losses:
        raise SmoothNetError(f"{path} has no line with `rank : 0  train.loss : ...`; is it a training log?")
    return losses


def print_comparison(result: dict[str, float | int | bool]) -> int:
    """Print what compare found, pass or fail last; the exit status that goes with it."""
    print(f"iterations compared: {result['iterations']}")
    for kind in ("relative", "absolute"):
        signed, magnitude = result[f"mean_{kind}"], result[f"mean_{kind}_magnitude"]
        print(f"mean {kind} error: {signed:.3e} (of the magnitudes: {magnitude:.3e})")
    print("pass" if result["passed"] else "fail", f"(relative <= {RELATIVE_LIMIT} or absolute <= {ABSOLUTE_LIMIT})")
    return 0 if result["passed"] else 1


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(prog="loss.py", description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--sdaa-log", "--device-log", required=True, type=Path, help="log of the run in question")
    parser.add_argument("--cuda-log", "--reference-log", required=True, type=Path, help="log to compare it with")
    parser.add_argument("--plot", type=Path, default=Path("loss.png"), help="picture to write (loss.png)")
    args = parser.parse_args(argv)
    if args.plot.is_dir():
        parser.error(f"--plot {args.plot} is a folder; name a picture in it")
    losses, reference = read_log(args.sdaa_log), read_log(args.cuda_log)
    result = compare(losses, reference)
    plot(losses, reference, args.plot)
    print(f"logs: {len(losses)} and {len(reference)} iterations; plot: {args.plot}")
    return print_comparison(result)


if __name__ == "__main__":
    sys.exit(run_main(main))
