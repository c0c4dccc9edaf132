# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Print what is understood of files of poses, without smoothing: `python inspect_smoothnet.py FILE [FILE ...]`.

Format, frame rate, joints, tracks with what is missing of them, and what would be left alone."""

from __future__ import annotations

from collections.abc import Sequence

from .arguments import make_parser


def main(argv: Sequence[str] | None = None) -> int:
    args = make_parser("inspect", __doc__).parse_args(argv)

    from ..formats import read_recording
    from ..formats.overview import overview
    from ..inference.options import SmoothingOptions
    from ..utils.files import printable

    given = {"fps": args.fps, "min_score": args.min_score}
    options = SmoothingOptions(**{name: value for name, value in given.items() if value is not None})
    for name in args.inputs:
        recording = read_recording(name, args.input_format, args.dims, args.layout)
        print(printable(name))
        for line in overview(recording, options.fps, options.min_score):
            print(f"  {line}")
    return 0
