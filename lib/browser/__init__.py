# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The smoother in a browser and in node: the JavaScript in js/, what is generated for it, and pages made of it."""

from __future__ import annotations

from importlib import resources


def part(name: str) -> str:
    """The text of a file of js/."""
    return resources.files(__package__).joinpath("js").joinpath(name).read_text(encoding="utf-8")
