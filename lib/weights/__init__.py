# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The weights that come along: one folder each, with checkpoint_<window>.safetensors files and a model card."""

from __future__ import annotations

import re
from pathlib import Path

from ..utils.errors import SmoothNetError

FOLDER = Path(__file__).resolve().parent
DEFAULT = "general"
USUAL_WINDOW = 32  # of several, unless another is asked for
NAMES = ("checkpoint_{}.safetensors", "checkpoint_{}.pth.tar", "checkpoint_{}.onnx")  # the first that is there
ALONE = "model.safetensors"  # what a repository of one model calls it


def find_weights(path: str | Path | None, window: int | None = None) -> Path:
    """The file that is meant: the given one, the one for the window in a folder, or one of those that come along.

    Args:
        path: a file; a folder with checkpoint_<window>.safetensors (or .pth.tar, .onnx) or model.safetensors; the name
            of weights that come along, with or without the folder data/checkpoints and the file's name, as they were
            once found there; None: the default ones.
        window: frames; None: the only one there is, else 32.

    Raises:
        SmoothNetError: a folder holds no such file.
    """
    named = path is not None
    path = Path(DEFAULT if path is None else path)
    if named and path.exists():
        return _in_folder(path, window) if path.is_dir() else path
    parts = list(path.parts)
    if parts[:2] == ["data", "checkpoints"]:
        del parts[:2]
    folder = FOLDER / parts[0] if parts else FOLDER
    if len(parts) > 2 or folder.name in ("", "..") or folder.parent != FOLDER or not folder.is_dir():
        return path  # which does not exist, as whoever opens it will say
    if len(parts) == 1:
        return _in_folder(folder, window)
    for name in (parts[1], parts[1].replace(".pth.tar", ".safetensors")):  # the old name stands in commands
        if (folder / name).is_file():
            return folder / name
    raise SmoothNetError(f"the weights {folder.name} have no {parts[1]}; there are {_listed(folder)}")


def _in_folder(folder: Path, window: int | None) -> Path:
    """The file for the window, or the only one, or the usual one."""
    windows = sorted({int(found[1]) for file in folder.iterdir() if (found := _NUMBERED.fullmatch(file.name))})
    if window is None:
        window = windows[0] if len(windows) == 1 else USUAL_WINDOW
    for name in (*(name.format(window) for name in NAMES), *(() if windows else (ALONE,))):
        if (folder / name).is_file():
            return folder / name
    there = _listed(folder)
    what = f"weights {folder.name} have" if folder.parent == FOLDER else f"folder {folder} has"
    if not there:  # that of a training, say
        others = sorted(file.name for file in folder.glob("*.pth.tar"))
        there = ", ".join(others[:3]) + (", ..." if len(others) > 3 else "")
        ask = f": name one of its files, such as {there}" if there else ", nor other weights"
        raise SmoothNetError(f"the {what} no {NAMES[0].format(window)}{ask}")
    raise SmoothNetError(f"the {what} no {NAMES[0].format(window)}; there are {there}")


_NUMBERED = re.compile(r"checkpoint_(\d{1,5})\.(?:safetensors|pth\.tar|onnx)")


def _listed(folder: Path) -> str:
    return ", ".join(sorted(file.name for file in folder.iterdir() if _NUMBERED.fullmatch(file.name)))
