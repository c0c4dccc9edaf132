# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""SmoothNet in PyTorch: training, evaluation, smoothing and visualisation of pose sequences.

The network is from Zeng et al., "SmoothNet: A Plug-and-Play Network for Refining Human Poses in Videos", ECCV 2022.
Installed with pip, this package is called `smoothnet`; in a checkout it is `lib`.
"""

__version__ = "1.0.0"
