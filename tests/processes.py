# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Finding the processes that a launcher started (Linux)."""

from __future__ import annotations

import os


def worker(launcher: int, rank: int) -> int:
    """Process id of a rank below the launcher (Linux)."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat") as stat, open(f"/proc/{entry}/environ") as environ:
                    parents[int(entry)] = (
                        int(stat.read().rpartition(")")[2].split()[1]),
                        environ.read().split("\0"),
                    )
            except OSError:
                continue
    spawner = next(pid for pid, (parent, _) in parents.items() if parent == launcher)
    return next(pid for pid, (parent, environ) in parents.items() if parent == spawner and f"RANK={rank}" in environ)
