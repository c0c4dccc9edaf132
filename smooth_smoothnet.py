"""Smooth your own poses: `python smooth_smoothnet.py INPUT [INPUT ...] -o OUT`."""

import sys

from lib.commands import run

if __name__ == "__main__":
    sys.exit(run("smooth"))
