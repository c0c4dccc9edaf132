# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Pose2Sim: smooth the triangulated markers in place of Pose2Sim.filtering().

    pip install pose2sim .  # in a checkout of smoothnet
    python examples/pose2sim_filter.py PROJECT  # the folder with Config.toml

Every pose-3d/<name>.trc that is not filtered becomes pose-3d/<name>_filt_smoothnet.trc, which the marker augmentation
and the kinematics of Pose2Sim take by that name. Remove other filtered files, they would be taken too.

Tried with the readers, writers and filters of pose2sim 0.10.49, not with its triangulation and kinematics.
"""

import sys
from pathlib import Path

from smoothnet.inference.files import smooth_files
from smoothnet.inference.methods import Smoothing
from smoothnet.inference.options import SmoothingOptions


def filter_project(project):
    """Smooth the markers of a project; gives the files that were written."""
    smoothing = Smoothing(SmoothingOptions())  # or SmoothingOptions(method="butterworth", cutoff=6)
    written = []
    for source in sorted(Path(project, "pose-3d").glob("*.trc")):
        if "filt" not in source.name and "LSTM" not in source.name:
            out = source.with_stem(f"{source.stem}_filt_smoothnet")
            written += [done.out for done in smooth_files([source], out, smoothing, force=True)]
    return written


if __name__ == "__main__":
    from Pose2Sim import Pose2Sim

    Pose2Sim.triangulation(sys.argv[1])
    filter_project(sys.argv[1])
    Pose2Sim.kinematics(sys.argv[1])
