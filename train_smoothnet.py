# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Train SmoothNet: `python train_smoothnet.py --cfg configs/h36m_fcn_3D.yaml`."""

import sys

from lib.commands import run

if __name__ == "__main__":
    sys.exit(run("train"))
