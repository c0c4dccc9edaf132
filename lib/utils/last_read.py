# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""What was read last, kept for as long as it takes: telling a file's format and reading it look at the same file."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")


class LastRead(threading.local, Generic[T]):
    """A function of a path that remembers what it gave last, for each thread its own: what is kept gets changed."""

    def __init__(self, read: Callable[[Path], T]):
        self.read = read  # without remembering
        self.kept: dict[Path, T] = {}

    def __call__(self, path: Path) -> T:
        if path not in self.kept:
            self.kept = {path: self.read(path)}
        return self.kept[path]

    def forget(self) -> None:
        self.kept = {}
