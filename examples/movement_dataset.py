# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""movement: smooth a dataset of poses, every individual alone; dimensions, coordinates, attributes and log stay.

    pip install movement .  # in a checkout of smoothnet
    python examples/movement_dataset.py tracked.h5 smoothed.h5

Points below a confidence of 0.6 count as missing and stay as they are. Without confidences leave min_score out.

Tried with movement 0.15.0.
"""

import sys

from smoothnet.filters import classical_smoother
from smoothnet.inference import Smoother, smooth_labelled


def smooth_dataset(dataset):
    """The dataset with its position smoothed by the network."""
    return Smoother.from_checkpoint()(dataset, min_score=0.6)


def filter_dataset(dataset, cutoff=6):
    """The same by a Butterworth filter with a cut-off in Hz, at the frame rate of the dataset."""
    return smooth_labelled(dataset, classical_smoother("butterworth", cutoff=cutoff), min_score=0.6)


if __name__ == "__main__":
    from movement.io import load_poses, save_poses

    poses = load_poses.from_file(sys.argv[1], source_software="DeepLabCut", fps=30)
    save_poses.to_dlc_file(smooth_dataset(poses), sys.argv[2])
