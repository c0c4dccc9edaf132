# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Smooth a corpus of poses: `python corpus_smoothnet.py INPUT [INPUT ...] -o OUT`."""

import sys

from lib.commands import run

if __name__ == "__main__":
    sys.exit(run("corpus"))
