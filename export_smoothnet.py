# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Write a checkpoint as an ONNX model: `python export_smoothnet.py --checkpoint PATH -o model.onnx`."""

import sys

from lib.commands import run

if __name__ == "__main__":
    sys.exit(run("export"))
