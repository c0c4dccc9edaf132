# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Evaluate a checkpoint: `python eval_smoothnet.py --checkpoint results/RUN/epoch_23.pth.tar --dataset_name ...`."""

import sys

from lib.commands import run

if __name__ == "__main__":
    sys.exit(run("eval"))
