# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Print what is understood of files of poses: `python inspect_smoothnet.py FILE [FILE ...]`."""

import sys

from lib.commands import run

if __name__ == "__main__":
    sys.exit(run("inspect"))
