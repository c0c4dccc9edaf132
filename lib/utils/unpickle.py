# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Reading foreign pickles without running what they ask for.

Official pose files hold object arrays, which numpy stores as pickles; a pickle can name any function to call.
Here only the few names that arrays need are known; any other is refused before it is looked up.
"""

from __future__ import annotations

import codecs
import math
import pickle
import re
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from .errors import SmoothNetError


class Function:
    """A function that a pickle may call but neither change nor give attributes."""

    __slots__ = ("_call",)
    _call: Callable[..., Any]

    def __init__(self, call: Callable[..., Any]):
        object.__setattr__(self, "_call", call)

    def __call__(self, *arguments: Any) -> Any:
        return self._call(*arguments)

    def __setattr__(self, name: str, value: Any) -> None:
        raise pickle.UnpicklingError(f"it changes {self._call.__name__.strip('_')}")

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError(f"it changes {self._call.__name__.strip('_')}")


class _Dtype:
    """Stands for numpy.dtype while a pickle is read: numpy's own takes any flags from the file, so that a pickle could
    have numbers of its own followed as addresses of objects."""

    __slots__ = ("dtype",)

    def __init__(self, name: Any, align: Any = False, copy: Any = False):
        if not isinstance(name, str) or not _PLAIN_DTYPE.fullmatch(name):
            raise pickle.UnpicklingError(f"it holds an array of {str(name)[:100]!r}")
        self.dtype = np.dtype(name)

    def __setstate__(self, state: Any) -> None:
        """The byte order, which stands second; whatever else the state says is in the name already."""
        order = state[1] if isinstance(state, tuple) and len(state) > 2 else None
        if order not in ("<", ">", "|", "=") or any(item is not None for item in state[2:5]):
            raise pickle.UnpicklingError("it holds an array of records")
        if order in "<>":
            self.dtype = self.dtype.newbyteorder(order)


_PLAIN_DTYPE = re.compile(
    r"[<>=|]?(?:[?bBO]|[Obiufc]\d{1,2}|[SUa]\d{1,9})|bool|object|u?int\d\d?|float\d\d|complex\d{2,3}"
)


class _Array(np.ndarray):
    """An array that takes its state from a pickle only if the type of its elements is a `_Dtype`."""

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) != 5 or not isinstance(state[2], _Dtype):
            raise pickle.UnpicklingError("it holds an array of an unexpected kind")
        version, shape, dtype, order, content = state
        super().__setstate__((version, shape, dtype.dtype, order, content))


def ndarray(*arguments: Any) -> Any:
    """numpy's class, of which pickles only speak: arrays are made by `_reconstruct`."""
    raise pickle.UnpicklingError("it calls numpy.ndarray")


def _reconstruct(subtype: Any, shape: Any, typecode: Any) -> np.ndarray:
    """What numpy's own `_reconstruct` makes: an empty array for __setstate__ to fill. The shape it is told is ignored,
    so that a small file cannot ask for a huge allocation."""
    return _Array.__new__(_Array, (0,), "b")


def _scalar(dtype: _Dtype, data: Any = b"") -> Any:
    """A numpy scalar from its bytes."""
    if not isinstance(dtype, _Dtype) or dtype.dtype.hasobject or not isinstance(data, bytes):
        raise pickle.UnpicklingError("a numpy scalar of an unexpected kind")
    return np.frombuffer(data, dtype=dtype.dtype, count=1)[0]


def _frombuffer(buffer: Any, dtype: _Dtype, shape: tuple[int, ...], order: Any) -> np.ndarray:
    """Arrays pickled with protocol 5."""
    if not isinstance(dtype, _Dtype):
        raise pickle.UnpicklingError("it holds an array of an unexpected kind")
    return np.frombuffer(buffer, dtype=dtype.dtype).reshape(shape, order=order)


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """Bytes as Python 2 pickles spell them."""
    if encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"text in the encoding {encoding}")
    return codecs.encode(text, "latin1")


ARRAY_NAMES: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): Function(ndarray),
    ("numpy", "dtype"): Function(_Dtype),
    ("_codecs", "encode"): Function(_encode),
    ("collections", "OrderedDict"): OrderedDict,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): Function(_reconstruct) for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): Function(_scalar) for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): Function(_frombuffer) for core in ("core", "_core")},
}


def _outside(identity: Any) -> Any:
    raise pickle.UnpicklingError("it refers to data outside the file")


class _Restricted:
    """What both unpicklers below know of names and of data outside the pickle."""

    names: Mapping[tuple[str, str], Any]
    outside: Callable[[Any], Any]

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self.names[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}") from None

    def persistent_load(self, identity: Any) -> Any:
        return self.outside(identity)


class _RestrictedUnpickler(_Restricted, pickle.Unpickler):
    def __init__(
        self,
        file: IO[bytes],
        names: Mapping[tuple[str, str], Any],
        encoding: str = "latin1",
        outside: Callable[[Any], Any] = _outside,
    ):
        super().__init__(file, encoding=encoding)
        self.names, self.outside = names, outside


_UnpicklerInPython: Any = pickle._Unpickler


class _JoblibRestrictedUnpickler(_Restricted, _UnpicklerInPython):
    """Reads what joblib.dump writes: the numbers of each array stand in the file behind the pickle's word of it.

    It is the unpickler written in Python, as the one in C reads ahead. The layout is that of joblib's
    NumpyArrayWrapper (joblib/numpy_pickle.py, its docstrings): from joblib 1.2 on a byte with the length of the
    padding, the padding, then the numbers; of arrays of objects a pickle of their own.
    """

    def __init__(
        self,
        file: IO[bytes],
        names: Mapping[tuple[str, str], Any],
        encoding: str = "latin1",
        outside: Callable[[Any], Any] = _outside,
    ):
        super().__init__(file, encoding=encoding)
        self.file, self.names, self.encoding_of_text, self.outside = file, names, encoding, outside

    def load_build(self) -> None:
        super().load_build()
        if isinstance(self.stack[-1], _JoblibArray):
            self.stack[-1] = self._read_array(self.stack[-1].state)

    def load_bytearray8(self) -> None:
        """As the base, which makes room for as many bytes as the file claims before it reads them."""
        length = int.from_bytes(self.read(8), "little")
        content = self.read(length)
        if len(content) < length:
            raise pickle.UnpicklingError("it ends within an array")
        self.append(bytearray(content))

    dispatch = {  # noqa: RUF012  (as in the base)
        **_UnpicklerInPython.dispatch,
        pickle.BUILD[0]: load_build,
        pickle.BYTEARRAY8[0]: load_bytearray8,
    }

    def _read_array(self, state: dict[str, Any]) -> np.ndarray:
        dtype, shape, order = state.get("dtype"), state.get("shape"), state.get("order")
        if not isinstance(dtype, _Dtype) or not isinstance(shape, tuple) or order not in ("C", "F"):
            raise pickle.UnpicklingError("it holds an array of an unexpected kind")
        if any(type(length) is not int or length < 0 for length in shape):
            raise pickle.UnpicklingError(f"it holds an array of shape {str(shape)[:100]}")
        if dtype.dtype.hasobject:
            return _JoblibRestrictedUnpickler(self.file, self.names, self.encoding_of_text, self.outside).load()
        if state.get("numpy_array_alignment_bytes") is not None:
            self.file.read(int.from_bytes(self.file.read(1), "little"))
        needed = math.prod(shape) * dtype.dtype.itemsize
        content = self.file.read(needed)
        if len(content) < needed:
            raise pickle.UnpicklingError(f"it ends within an array of {needed} bytes")
        return np.ndarray(shape, dtype.dtype, content, order=order)


class _JoblibArray:
    """Stands for joblib's NumpyArrayWrapper until the array behind it is read."""

    __slots__ = ("state",)

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, dict):
            raise pickle.UnpicklingError("it holds an array of an unexpected kind")
        self.state = state


JOBLIB_NAMES: dict[tuple[str, str], Any] = {("joblib.numpy_pickle", "NumpyArrayWrapper"): _JoblibArray}


def restricted_load(
    file: IO[bytes],
    what: str,
    extra: Mapping[tuple[str, str], Any] | None = None,
    encoding: str = "latin1",
    outside: Callable[[Any], Any] = _outside,
    joblib: bool = False,
) -> Any:
    """Unpickle numpy arrays, numbers, text and plain containers from `file`; refuse everything else by name.

    Args:
        file: open binary file, at the start of the pickle.
        what: how an error names the file.
        extra: further names that are allowed, (module, name) -> the object used in its place.
        encoding: of Python 2 byte strings.
        outside: gives what the pickle refers to by an identity of its own (the storages of a PyTorch file).
        joblib: read it as joblib.dump writes; `file` is then in memory, so that no length it claims fills more.

    Raises:
        SmoothNetError: the pickle names anything that is not allowed, or is damaged.
    """
    try:
        start = file.tell()
        names = {**ARRAY_NAMES, **(extra or {}), **(JOBLIB_NAMES if joblib else {})}
        value = (_JoblibRestrictedUnpickler if joblib else _RestrictedUnpickler)(file, names, encoding, outside).load()
        written_out = _count(value, {}) if _holds_more(value) else 1
        if written_out > max(2**27, 100 * (file.tell() - start)):
            raise pickle.UnpicklingError(f"it repeats lists, {written_out} values in all")
        return value
    except pickle.UnpicklingError as error:
        raise SmoothNetError(f"{what} was refused: {error}; only plain arrays are read from it") from error
    except (MemoryError, RecursionError) as error:
        raise SmoothNetError(f"{what} is too large or too deeply nested to read") from error
    except Exception as error:  # a damaged pickle fails in any way at all
        raise SmoothNetError(f"{what} is damaged ({error}); copy or download it again") from error


def _count(value: Any, known: dict[int, int | None]) -> int:
    """How many values there are when what is referred to several times counts each time.

    A pickle of a few bytes can hold a list of a thousand times one list of a thousand times one list: making an array
    of it would take forever. `known` has what was counted, by id; None while it is being counted.
    """
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        return value.size
    if id(value) in known:
        count = known[id(value)]
        if count is None and not isinstance(value, _CONTAINERS):
            return 0  # the attributes of objects may well refer to each other
        if count is None:
            raise pickle.UnpicklingError("it holds a list that holds itself")
        return count
    if isinstance(value, dict):
        parts: Any = value.values()
    elif isinstance(value, np.ndarray):
        parts = value.ravel().tolist()
    else:
        parts = value if isinstance(value, _CONTAINERS) else vars(value).values()
    known[id(value)] = None
    count = len(parts) + sum(_count(part, known) for part in parts if type(part) not in _PLAIN and _holds_more(part))
    known[id(value)] = count
    return count


_PLAIN = frozenset((str, bytes, int, float, bool, type(None)))
_CONTAINERS = (list, tuple, dict, set, frozenset, np.ndarray)


def _holds_more(value: Any) -> bool:
    return isinstance(value, _CONTAINERS) or (hasattr(value, "__dict__") and not isinstance(value, type))


def refuse_bomb(member: zipfile.ZipInfo, what: str) -> None:
    """Refuse a member of a zip that unpacks to far more than poses, which are noise, can be packed from.

    Raises:
        SmoothNetError: more than 1 GiB, and more than 100 times its packed size.
    """
    if member.file_size > max(2**30, 100 * member.compress_size):
        raise SmoothNetError(
            f"{what} was refused: it would unpack {member.compress_size} bytes to {member.file_size}, "
            "which no recording does"
        )


def refuse_bombs(members: list[zipfile.ZipInfo], what: str) -> None:
    """The same for all members of a zip together, which many small ones can be made for.

    Raises:
        SmoothNetError: more than 1 GiB, and more than 100 times their packed size.
    """
    packed, size = sum(member.compress_size for member in members), sum(member.file_size for member in members)
    if size > max(2**30, 100 * packed):
        raise SmoothNetError(
            f"{what} was refused: it would unpack {packed} bytes to {size} in all, which no recording does"
        )


def _refuse_unordered(array: np.ndarray, what: str) -> None:
    """Sequences and their frames have an order, which dicts and sets do not promise."""
    unordered = next((item for item in array.ravel().tolist() if isinstance(item, dict | set | frozenset)), None)
    if unordered is not None:
        raise SmoothNetError(f"{what} holds a {type(unordered).__name__}, where a list or an array is needed")


class Npz:
    """The arrays of one .npz file, read one by one when asked for; object arrays through `restricted_load`.

    Raises:
        SmoothNetError: the file is missing, not an .npz, damaged, or holds pickles of anything but arrays.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        try:
            self._zip = zipfile.ZipFile(self.path)
        except FileNotFoundError:
            raise SmoothNetError(f"{self.path} does not exist") from None
        except (OSError, zipfile.BadZipFile, ValueError) as error:
            raise SmoothNetError(f"{self.path} is not a readable .npz file ({error})") from error
        refuse_bombs(self._zip.infolist(), str(self.path))
        self.keys = [name.removesuffix(".npy") for name in self._zip.namelist() if name.endswith(".npy")]

    def __enter__(self) -> Npz:
        return self

    def __exit__(self, *exception: Any) -> None:
        self._zip.close()

    def __contains__(self, key: str) -> bool:
        return key in self.keys

    def __getitem__(self, key: str) -> np.ndarray:
        what = f"{key} in {self.path}"
        if key not in self.keys:
            raise SmoothNetError(f"{self.path} has no key {key}; its keys are {', '.join(self.keys) or 'none'}")
        refuse_bomb(self._zip.getinfo(f"{key}.npy"), what)
        try:
            with self._zip.open(f"{key}.npy") as file:
                version = np.lib.format.read_magic(file)
                reader = {
                    (1, 0): np.lib.format.read_array_header_1_0,
                    (2, 0): np.lib.format.read_array_header_2_0,
                }.get(version)
                # numpy writes version 3 only for field names outside latin1, which no pose file has
                header = reader(file) if reader else None
                if header is not None and header[2].hasobject:
                    array = restricted_load(file, what)
                    if not isinstance(array, np.ndarray):
                        raise SmoothNetError(f"{what} holds a {type(array).__name__}, not an array")
                    _refuse_unordered(array, what)
                    return array.view(np.ndarray)
            with self._zip.open(f"{key}.npy") as file:
                return np.lib.format.read_array(file, allow_pickle=False)
        except SmoothNetError:
            raise
        except Exception as error:  # zip, header and data can each be damaged in their own way
            raise SmoothNetError(f"{what} is damaged ({error}); copy or download the file again") from error
