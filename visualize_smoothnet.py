# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""See poses before and after: `python visualize_smoothnet.py --input FILE`."""

import sys

from lib.commands import run

if __name__ == "__main__":
    sys.exit(run("visualize"))
