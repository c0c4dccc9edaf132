# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""How far `smooth --uncertainty` can be believed: the share of true errors within one and two deviations.

    python benchmarks/uncertainty.py                          # the default weights, generated motion
    python benchmarks/uncertainty.py --checkpoint my.safetensors

The factor in lib/inference/uncertainty.py is the one that the settings part of accuracy.py gives (68.3 % of the
coordinates within one deviation, mean over its cases); the shares are those of the report part, with that factor.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from benchmarks.errors import cases, seeded, truths
from benchmarks.motion import generated
from lib.inference import Smoother
from lib.inference.uncertainty import FACTOR, deviations

WITHIN = 0.6827  # of a normal distribution, within one deviation


def ratios(smoother: Smoother, part: str, seconds: float = 8.0) -> dict[str, list[np.ndarray]]:
    """Kind of errors -> for each of its cases |error| / deviation of every coordinate."""
    found: dict[str, list[np.ndarray]] = defaultdict(list)
    clips = generated(part)
    for case in cases(part):
        for clip, truth in truths(clips, case, part, seconds):
            points = case.kind(seeded(case.name, "uncertainty"), truth, case.fps, case.level, clip)
            smoothed = smoother(points)
            sigma = deviations(smoother.spread(points, smoothed))[..., None]
            with np.errstate(divide="ignore", invalid="ignore"):
                ratio = np.abs(smoothed - truth) / sigma
            found[case.kind.__name__].append(ratio[np.isfinite(smoothed)])
    return found


def share(ratio: dict[str, list[np.ndarray]], deviations: float) -> float:
    """The share of coordinates within so many deviations, mean over all cases."""
    return float(np.mean([(one < deviations).mean() for some in ratio.values() for one in some]))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", help="other weights of the general network")
    smoother = Smoother.from_checkpoint(parser.parse_args().checkpoint)
    settings = ratios(smoother, "settings")
    low, high = 0.01, 100.0
    while high / low > 1.0001:
        middle = float(np.sqrt(low * high))
        low, high = (middle, high) if share(settings, middle) < WITHIN else (low, middle)
    print(f"factor of the settings part: {FACTOR * high:.2f} (in use: {FACTOR})")
    report = ratios(smoother, "report")
    print(f"report part: {share(report, 1):.3f} within one deviation, {share(report, 2):.3f} within two")
    for kind, some in report.items():
        print(f"  {kind:12} {share({kind: some}, 1):.2f} {share({kind: some}, 2):.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
