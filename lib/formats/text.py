# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Text from files as people may see it."""

from __future__ import annotations


def printable(text: object) -> str:
    """Text that any terminal takes, in one line: bytes that were no UTF-8 and control characters become "?"."""
    clean = str(text).encode("utf-8", "replace").decode("utf-8")
    return "".join(character if character.isprintable() else "?" for character in clean)
