# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Estimates and reference of the trial in data/samples/pose2sim_balance_pairs.npz, as pairs to train on.

    python data/pose2sim_pairs.py --output pose2sim_pairs.npz

writes what GENERAL.FILES takes: of each estimator and view the joints that both have, in pixels, gaps bridged.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from lib.utils.errors import SmoothNetError
from lib.utils.files import atomic_write
from lib.utils.gaps import bridge_windows

SAMPLE = Path(__file__).resolve().parent / "samples" / "pose2sim_balance_pairs.npz"
VIEWS = 4
BLAZEPOSE = {  # of its 33 landmarks, those that the reference has
    "Nose": 0, "LShoulder": 11, "RShoulder": 12, "LElbow": 13, "RElbow": 14, "LWrist": 15, "RWrist": 16,
    "LHip": 23, "RHip": 24, "LKnee": 25, "RKnee": 26, "LAnkle": 27, "RAnkle": 28, "LHeel": 29, "RHeel": 30,
    "LBigToe": 31, "RBigToe": 32,
}  # fmt: skip


def read_pairs() -> tuple[dict[str, list[tuple[np.ndarray, np.ndarray]]], float]:
    """Of each estimator and view (estimate, reference), both (T, K, 2) pixels, and frames per second.

    K are all joints of the estimator. NaN in the estimate: not found (score 0); in the reference: it has no such joint.
    It is triangulated from the OpenPose streams and low-passed: made from the same videos, and smooth by construction.
    """
    with np.load(SAMPLE, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    known = {str(name): i for i, name in enumerate(arrays["ref_names"])}
    openpose = {str(name): i for i, name in enumerate(arrays["openpose_names"])}
    pairs: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    for estimator, names in (("blazepose_full", BLAZEPOSE), ("blazepose_heavy", BLAZEPOSE), ("openpose", openpose)):
        columns, rows = map(list, zip(*((names[name], known[name]) for name in names if name in known), strict=True))
        for view in range(1, VIEWS + 1):
            seen = arrays[f"cam{view}_{estimator}_px"].astype(np.float64)
            points = np.where(seen[..., 2:] > 0, seen[..., :2], np.nan)
            truth = np.full_like(points, np.nan)
            truth[:, columns] = arrays[f"cam{view}_ref_px"][:, rows]
            pairs.setdefault(estimator, []).append((points, truth))
    return pairs, float(arrays["fps"])


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("pose2sim_pairs.npz"))
    args = parser.parse_args(argv)
    pairs, fps = read_pairs()
    items = [item for views in pairs.values() for item in views]
    content = {name: np.empty(len(items), object) for name in ("detected", "groundtruth")}
    for i, (points, truth) in enumerate(items):
        both = np.isfinite(truth).all(axis=(0, 2)) & np.isfinite(points).any(axis=(0, 2))
        channels = points[:, both].transpose(1, 2, 0)[None]  # (1, K, 2, T)
        bridged = bridge_windows(channels, ~np.isfinite(channels).all(axis=2))[0].transpose(2, 0, 1)
        content["detected"][i] = bridged.astype(np.float32)
        content["groundtruth"][i] = truth[:, both].astype(np.float32)
    names = [f"{estimator}_view{view}" for estimator in pairs for view in range(1, VIEWS + 1)]
    try:
        with atomic_write(args.output) as file:
            np.savez_compressed(file, **content, imgname=names, fps=fps)  # type: ignore[arg-type]
    except SmoothNetError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{args.output}: {len(items)} pairs of {len(items[0][0])} frames")
    return 0


if __name__ == "__main__":
    sys.exit(main())
