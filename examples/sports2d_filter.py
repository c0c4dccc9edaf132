# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Sports2D: smooth the joints it found, and let it compute angles and figures from these.

    pip install sports2d .  # in a checkout of smoothnet
    python examples/sports2d_filter.py Config.toml

Sports2D writes <video>_Sports2D/<video>_Sports2D_px_person00.trc. That becomes ..._px_person00_smoothnet.trc, which a
second run for that person reads as load_trc_px; set filter = false in Config.toml, or it is filtered twice.

Tried with files in the form of sports2d 0.8.34, not with its runs.
"""

import sys
from pathlib import Path

from smoothnet.inference.files import smooth_files
from smoothnet.inference.methods import Smoothing
from smoothnet.inference.options import SmoothingOptions


def filter_results(folder):
    """Smooth the pixels of every person in a result folder; gives the files that were written."""
    smoothing = Smoothing(SmoothingOptions())  # or SmoothingOptions(method="butterworth", cutoff=6)
    written = []
    for source in sorted(Path(folder).glob("*_px_person[0-9][0-9].trc")):
        out = source.with_stem(f"{source.stem}_smoothnet")
        written += [done.out for done in smooth_files([source], out, smoothing, force=True)]
    return written


if __name__ == "__main__":
    import rtoml
    from Sports2D import Sports2D

    config = rtoml.load(Path(sys.argv[1]))
    Sports2D.process(config)
    results = Path(config["base"].get("result_dir") or ".", f"{Path(config['base']['video_input']).stem}_Sports2D")
    for trc in filter_results(results):
        Sports2D.process({**config, "base": {**config["base"], "load_trc_px": str(trc), "result_dir": trc.stem}})
