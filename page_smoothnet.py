# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Write the page that smooths in the browser: `python page_smoothnet.py -o smooth.html`."""

import sys

from lib.commands import run

if __name__ == "__main__":
    sys.exit(run("page"))
