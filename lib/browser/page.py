# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The page to try it: one self-contained file that reads poses, smooths, plays and writes them in the browser."""

from __future__ import annotations

from pathlib import Path

from . import part
from .bundle import bundle
from .export import weights_module


def try_page(checkpoint: str | Path | None = None, window: int | None = None) -> str:
    """The text of the page.

    Args:
        checkpoint: other weights of the general network, .safetensors or .pth.tar; None: those that come along.
        window: W, where the checkpoint must have it.

    Raises:
        SmoothNetError: no such weights.
    """
    replaced = {} if checkpoint is None else {"weights.js": weights_module(checkpoint, window)}
    text = part("try.html")
    # In this order: what comes later holds none of the marks.
    for mark, content in (
        ("STYLE", part("player.css")),
        ("PLAYER", part("player.html")),
        ("SCRIPT", bundle("try.js", replaced)),
    ):
        text = text.replace(f"@{mark}@", content)
    return text
