# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Write the page that smooths poses in the browser, one file that needs nothing else: `python page_smoothnet.py -o PAGE.html`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .arguments import make_parser


def main(argv: Sequence[str] | None = None) -> int:
    args = make_parser("page", __doc__).parse_args(argv)

    from ..browser.page import write_try_page
    from ..utils.errors import SmoothNetError
    from ..weights import find_weights

    output = Path(args.output)
    if output.suffix.lower() not in (".html", ".htm"):
        raise SmoothNetError(f"{output} will be a page: name it *.html")
    if output.is_dir():
        raise SmoothNetError(f"{output} is a folder; name a file with -o")
    checkpoint = None if args.checkpoint is None else find_weights(args.checkpoint)
    write_try_page(output, checkpoint, replace=args.force)
    print(output)
    return 0
