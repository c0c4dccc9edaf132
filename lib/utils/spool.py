# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""An array that lies in a file meanwhile, because there is no memory for it."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from .errors import SmoothNetError


class Spool:
    """An array in a temporary file without a name, which goes when the array does.

    Slices along the first axis are read and written; whatever else is asked of it takes all of it into memory.

    Args:
        folder: where the file lies.
        shape, dtype: of the array. What was not written yet is 0.
    """

    def __init__(self, folder: str | Path, shape: tuple[int, ...], dtype: Any) -> None:
        self.shape, self.dtype = shape, np.dtype(dtype)
        self._row = math.prod(shape[1:])
        self._folder = folder
        try:
            self._file: Any = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115
            self._file.truncate(shape[0] * self._row * self.dtype.itemsize)
        except OSError as error:
            raise self._full(error) from error

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> np.ndarray:
        if not isinstance(key, slice) or key.step not in (None, 1):
            return np.asarray(self)[key]
        first, last, _ = key.indices(len(self))
        part = np.empty((max(last - first, 0), *self.shape[1:]), self.dtype)
        self._file.seek(first * self._row * self.dtype.itemsize)
        rest = part.data.cast("B") if part.size else memoryview(b"")
        while rest and (count := self._file.readinto(rest)):
            rest = rest[count:]
        return part

    def __setitem__(self, key: slice, values: np.ndarray) -> None:
        first, last, _ = key.indices(len(self))
        part = np.ascontiguousarray(np.broadcast_to(values, (max(last - first, 0), *self.shape[1:])), self.dtype)
        rest = part.data.cast("B") if part.size else memoryview(b"")
        try:
            self._file.seek(first * self._row * self.dtype.itemsize)
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise self._full(error) from error

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[:].astype(self.dtype if dtype is None else dtype, copy=False)

    def _full(self, error: OSError) -> SmoothNetError:
        return SmoothNetError(f"cannot write into {self._folder}: {error.strerror or error}; check the free space")
