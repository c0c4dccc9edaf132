# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""`python -m smoothnet COMMAND ...`."""

import sys

from .commands import main

if __name__ == "__main__":
    sys.exit(main())
