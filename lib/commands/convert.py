# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Write poses in another form, without smoothing them: `python convert_smoothnet.py IN OUT`.

The ending of OUT decides the form. Points go over, with names of joints, scores, people and frame rate where the form
has a place for them; what does not is listed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .arguments import make_parser

if TYPE_CHECKING:
    from ..formats import Recording


def main(argv: Sequence[str] | None = None) -> int:
    args = make_parser("convert", __doc__).parse_args(argv)

    from ..formats import read_recording
    from ..inference.files import convert_file
    from ..inference.options import SmoothingOptions

    options = SmoothingOptions() if args.fps is None else SmoothingOptions(fps=args.fps)  # checked as elsewhere

    def read(path: Path) -> Recording:
        return read_recording(path, args.input_format, args.dims, args.layout)

    for line in convert_file(Path(args.input), Path(args.output), read, fps=options.fps, force=args.force):
        print(line)
    return 0
