# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Write the page that smooths poses in the browser, one file that needs nothing else.

The page, and with weights of your own:
    python page_smoothnet.py -o smooth.html [--checkpoint CKPT]
Weights for the npm package (new Smoother({weights})):
    python page_smoothnet.py -o weights.js --checkpoint CKPT
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .arguments import make_parser


def main(argv: Sequence[str] | None = None) -> int:
    args = make_parser("page", __doc__).parse_args(argv)

    from ..browser.export import weights_module
    from ..browser.page import try_page
    from ..utils.errors import SmoothNetError
    from ..utils.files import atomic_write
    from ..weights import find_weights

    output = Path(args.output)
    if output.suffix.lower() not in (".html", ".htm", ".js"):
        raise SmoothNetError(
            f"the output {args.output!r} is no page: name it *.html for a page, *.js for weights alone"
        )
    if output.is_dir():
        raise SmoothNetError(f"{output} is a folder; name a file with -o")
    own, window = args.checkpoint is not None or args.slide_window_size is not None, args.slide_window_size
    if output.suffix.lower() == ".js":
        text = weights_module(find_weights(args.checkpoint, window), window)
    else:
        text = try_page(find_weights(args.checkpoint, window) if own else None, window)
    with atomic_write(output, "w", args.force) as file:
        file.write(text)
    print(output)
    return 0
