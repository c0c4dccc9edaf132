# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The weights that come along: one folder each, with checkpoint_<window>.pth.tar files and a model card."""

from __future__ import annotations

from pathlib import Path

from ..utils.errors import SmoothNetError

FOLDER = Path(__file__).resolve().parent
DEFAULT = "general"
DEFAULT_WINDOW = 32


def find_weights(path: str | Path | None, window: int | None = None) -> Path:
    """The file that is meant: the given one, the one for the window in a folder, or one of those that come along.

    Args:
        path: a file; a folder with checkpoint_<window>.pth.tar; the name of weights that come along, with or without
            the folder data/checkpoints and the file's name, as they were once found there; None: the default ones.
        window: frames; None: 32.

    Raises:
        SmoothNetError: those that come along are not of that window.
    """
    name = f"checkpoint_{window or DEFAULT_WINDOW}.pth.tar"
    named = path is not None
    path = Path(DEFAULT if path is None else path)
    if named and path.exists():
        return path / name if path.is_dir() else path
    parts = list(path.parts)
    if parts[:2] == ["data", "checkpoints"]:
        del parts[:2]
    folder = FOLDER / parts[0] if parts else FOLDER
    if not folder.is_dir() or folder == FOLDER or len(parts) > 2:
        return path  # which does not exist, as whoever opens it will say
    file = folder / (parts[1] if len(parts) == 2 else name)
    if not file.is_file():
        have = ", ".join(sorted(f.name for f in folder.glob("checkpoint_*")))
        raise SmoothNetError(f"the weights {folder.name} have no {file.name}; there are {have}")
    return file
