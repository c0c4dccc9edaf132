# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Write poses in another form, unchanged: `python convert_smoothnet.py IN OUT`."""

import sys

from lib.commands import run

if __name__ == "__main__":
    sys.exit(run("convert"))
