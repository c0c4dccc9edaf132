# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""JavaScript modules as one script, for pages that are one file.

A browser loads no modules from file://. The modules of js/ need no tool to become one: their names are different
throughout (a test runs the result), so that one after the other, without imports and exports, they are one module.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from . import part

_IMPORT = re.compile(r'^import (?:(\w+)|\{[^}]*\}) from "\./([\w.]+)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=class|const|function|async)", re.MULTILINE)
_DEFAULT = re.compile(r"^export default ", re.MULTILINE)


def bundle(entry: str, replaced: Mapping[str, str] | None = None) -> str:
    """The text of js/`entry` with all that it imports before it, as the content of one script element.

    Args:
        replaced: texts of modules that stand for those of js/, such as other weights.
    """
    taken: dict[str, str] = {}
    _take(entry, dict(replaced or {}), taken)
    # "</script" and "<!--" would end or hide the script; in JavaScript they can only stand in texts and comments.
    return re.sub(r"<(?=/script|!--)", r"\\x3c", "\n".join(taken.values()), flags=re.IGNORECASE)


def _take(name: str, replaced: Mapping[str, str], taken: dict[str, str]) -> None:
    if name in taken:
        return
    taken[name] = ""  # holds the place against circles
    text = replaced.get(name) or part(name)
    for match in _IMPORT.finditer(text):
        _take(match[2], replaced, taken)
    body = _EXPORT.sub("", _IMPORT.sub("", text))
    del taken[name]  # behind what it needs
    taken[name] = _DEFAULT.sub(f"const {name.removesuffix('.js')} = ", body)
