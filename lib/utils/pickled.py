# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Files that hold a tree of dicts, lists and arrays as a pickle: read without running code, written back in their form.

Four forms are known, told by content: a pickle, also one of joblib.dump, plain or packed by zlib or gzip; np.save of a
dict (an .npy of one object); and torch.save (a zip of a pickle and the numbers of its tensors). Neither joblib nor
PyTorch is needed: a tensor is read as a `Tensor` and written as PyTorch would write it.

What is written is a plain pickle, which joblib.load reads as well, with the names that NumPy had before 2.0: those old
and new versions know.
"""

from __future__ import annotations

import copy
import gzip
import io
import math
import pickle
import shutil
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .errors import SmoothNetError
from .files import atomic_write
from .unpickle import ARRAY_NAMES, Function, _Array, _RestrictedUnpickler, refuse_bombs, restricted_load

MOST_UNPACKED = 2**30  # bytes that any file may unpack to; beyond, 100 times its size, as poses are noise
SUFFIXES = (".pkl", ".pickle", ".p", ".joblib", ".pt", ".pth", ".npy")


class _Fixed:
    """Refuses to be changed by the pickle that it came from."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError(f"it changes a {type(self).__name__.lower()}")


class Named(_Fixed):
    """A name of another package that a pickle holds and that is written back as a name, without being looked up."""

    __slots__ = ("module", "name")

    def __init__(self, module: str, name: str):
        self.module, self.name = module, name

    def __call__(self, *arguments: Any) -> Any:
        raise pickle.UnpicklingError(f"it calls {self.module}.{self.name}")


# The numbers that each of PyTorch's storages holds; of bfloat16, which NumPy has not, the bytes alone.
_STORAGES = {
    "FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2", "LongStorage": "<i8", "IntStorage": "<i4",
    "ShortStorage": "<i2", "CharStorage": "|i1", "ByteStorage": "|u1", "BoolStorage": "|b1",
    "ComplexFloatStorage": "<c8", "ComplexDoubleStorage": "<c16", "BFloat16Storage": "|V2",
}  # fmt: skip


class Storage(_Fixed):
    """The numbers of one or several tensors.

    Attributes:
        kind: torch.FloatStorage and the like.
        key: its name within the file.
        location: "cpu", "cuda:0".
        numel: how many numbers.
        load: gives their bytes.
        head: of a tensor within a pickle, what torch.save writes before these bytes.
        fresh: whether the numbers are others than the file's.
    """

    __slots__ = ("fresh", "head", "key", "kind", "load", "location", "numel")

    def __init__(
        self,
        kind: Named,
        key: str,
        location: Any,
        numel: int,
        load: Callable[[], bytes],
        head: bytes = b"",
        fresh: bool = False,
    ):
        self.kind, self.key, self.location, self.numel, self.load = kind, key, location, numel, load
        self.head, self.fresh = head, fresh

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(_STORAGES[self.kind.name])


class Tensor(_Fixed):
    """A tensor of PyTorch: a view of a storage. `rest` is what else its pickle says of it (requires_grad, hooks)."""

    __slots__ = ("offset", "rest", "size", "storage", "stride")

    def __init__(self, storage: Storage, offset: int, size: tuple, stride: tuple, rest: tuple):
        self.storage, self.offset, self.size, self.stride, self.rest = storage, offset, size, stride, rest

    def array(self) -> np.ndarray:
        """Its numbers, not to be changed."""
        return self._view(self.storage.load())

    def with_numbers(self, array: np.ndarray) -> Tensor:
        """The same tensor with other numbers, in a storage of its own of the same layout."""
        content = bytearray(self.storage.load())
        self._view(content)[...] = array
        old = self.storage
        storage = Storage(old.kind, old.key, old.location, old.numel, lambda: bytes(content), old.head, fresh=True)
        return Tensor(storage, self.offset, self.size, self.stride, self.rest)

    def _view(self, content: bytes | bytearray) -> np.ndarray:
        dtype, numel = self.storage.dtype, self.storage.numel
        last = self.offset + sum((n - 1) * step for n, step in zip(self.size, self.stride, strict=True))
        # A view of one number can pretend to be an array of any size.
        if (
            len(content) != numel * dtype.itemsize
            or math.prod(self.size) > numel
            or (0 not in self.size and last >= numel)
        ):
            raise ValueError(f"a tensor of shape {self.size} does not fit its {len(content)} bytes")
        steps = tuple(step * dtype.itemsize for step in self.stride)
        return np.ndarray(self.size, dtype, content, self.offset * dtype.itemsize if math.prod(self.size) else 0, steps)


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> Tensor:
    """What torch._utils._rebuild_tensor_v2 is called with."""
    numbers = (offset, *size, *stride) if isinstance(size, tuple) and isinstance(stride, tuple) else (None,)
    if (
        not isinstance(storage, Storage)
        or any(type(n) is not int or n < 0 for n in numbers)
        or len(size) != len(stride)
    ):
        raise pickle.UnpicklingError("it holds a tensor of an unexpected kind")
    return Tensor(storage, offset, size, stride, rest)


_MAGIC, _VERSION = 0x1950A86A20F9469CFC6C, 1001  # of files by torch.save before PyTorch 1.6 (torch/serialization.py)


def _storage_in_bytes(content: Any) -> Storage:
    """What torch.storage._load_from_bytes is called with: a file by torch.save, in its old form, of one storage.

    Four pickles (a magic number, the version, the sizes of numbers, the storage as a name), one with the keys of the
    storages, then for each the count of its numbers and these.
    """
    if not isinstance(content, bytes):
        raise pickle.UnpicklingError("it holds a tensor of an unexpected kind")
    file = io.BytesIO(content)
    found: list[Storage] = []

    def outside(identity: Any) -> Storage:
        kind, key, location, numel = _identity(identity)
        found.append(Storage(kind, key, location, numel, lambda: content[start:]))
        return found[-1]

    magic, version, _, storage, keys = (_RestrictedUnpickler(file, _NAMES, outside=outside).load() for _ in range(5))
    start = file.tell() + 8
    if (magic, version, len(found)) != (_MAGIC, _VERSION, 1) or storage is not found[0] or keys != [storage.key]:
        raise pickle.UnpicklingError("it holds a tensor of an unexpected kind")
    if len(content) - start != storage.numel * storage.dtype.itemsize:
        raise pickle.UnpicklingError("it ends within a tensor")
    storage.head = content[:start]
    return storage


def _identity(identity: Any) -> tuple[Named, str, Any, int]:
    """Kind, key, location and length of the storage that PyTorch's pickles refer to."""
    if isinstance(identity, tuple) and len(identity) in (5, 6) and identity[0] == "storage":
        kind, key, location, numel = identity[1:5]
        if isinstance(kind, Named) and type(key) is str and type(numel) is int and kind.name in _STORAGES:
            return kind, key, location, numel
    raise pickle.UnpicklingError("it refers to data of an unexpected kind")


def _no_bytes() -> bytes:
    """Protocol 2 writes b"" as bytes(); bytes(n) would make n of them."""
    return b""


_NAMES: dict[tuple[str, str], Any] = {
    **ARRAY_NAMES,
    ("collections", "defaultdict"): defaultdict,
    **{(module, kind.__name__): kind for module in ("builtins", "__builtin__") for kind in (dict, list)},
    **{(module, "bytes"): Function(_no_bytes) for module in ("builtins", "__builtin__")},
    ("torch._utils", "_rebuild_tensor_v2"): Function(_tensor),
    ("torch.storage", "_load_from_bytes"): Function(_storage_in_bytes),
    **{("torch", kind): Named("torch", kind) for kind in _STORAGES},
}


# --------------------------------------------------------------------------------------------------------- reading


@dataclass
class Tree:
    """What a file holds, and its form. `value` is not to be changed: see `write_tree`."""

    path: Path
    value: Any
    form: str  # "pickle" | "npy" | "torch"
    protocol: int = 4
    packed: Callable[[bytes], bytes] | None = None  # packs as the file is packed
    head: bytes = b""  # of an .npy


def holds_tree(path: Path) -> bool:
    """Whether this is a file of one of the forms by its name and first bytes; an .npy of plain numbers is none."""
    if path.suffix.lower() not in SUFFIXES or not path.is_file():
        return False
    with path.open("rb") as file:
        first = file.read(6)
        if first == np.lib.format.MAGIC_PREFIX:
            return b"'descr': '|O'" in (head := file.read(200)) and b"'shape': ()" in head
    starts = (b"PK", _OLD_TORCH) if path.suffix.lower() in (".pt", ".pth") else _STARTS
    return path.suffix.lower() != ".npy" and first.startswith(starts)


_ZLIB, _GZIP = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda"), b"\x1f\x8b"
_OLD_TORCH = b"\x80\x02\x8a\nl\xfc"
_OTHER_PACKERS = (b"BZh", b"\xfd7zXZ", b"\x5d\x00", b"\x04\x22\x4d\x18")
# Also of dicts as protocols 0 and 1 write them.
_STARTS = (b"\x80", b"(", b"}", b"c", b"PK", *_ZLIB, _GZIP, *_OTHER_PACKERS)


def read_tree(path: Path) -> Tree:
    """The tree of a file: dicts, lists, tuples, text, numbers, NumPy arrays and `Tensor`s.

    Raises:
        SmoothNetError: it asks for anything else, is damaged, or unpacks to far more than poses can.
    """
    try:
        with path.open("rb") as file:
            first = file.read(6)
        if first.startswith(b"PK"):
            return _read_torch(path)
        content = path.read_bytes()
        if first == np.lib.format.MAGIC_PREFIX:
            return _read_npy(path, content)
        packed = None
        if first.startswith(_ZLIB):
            level = {0x01: 1, 0x5E: 3, 0x9C: 6, 0xDA: 9}[first[1]]  # as near as the header says it
            content, packed = _unpacked(content, path), lambda raw: zlib.compress(raw, level)
        elif first.startswith(_GZIP):
            content, packed = _unpacked(content, path), lambda raw: gzip.compress(raw, mtime=0)
        elif first == _OLD_TORCH:
            raise SmoothNetError(
                f"{path} was written by PyTorch before 1.6: load it and save it again with a newer one"
            )
        elif first.startswith(_OTHER_PACKERS):
            raise SmoothNetError(f"{path} is packed; of packed files those by zlib and gzip are read: save it so")
        return Tree(path, _load(content, 0, path), "pickle", _protocol(content), packed)
    except (SmoothNetError, OSError):
        raise
    except Exception as error:  # a damaged file fails in any way at all
        raise _damaged(path, error) from error


def _damaged(path: Path, error: object) -> SmoothNetError:
    return SmoothNetError(f"{path} is damaged ({error}); copy or download it again".replace("\n", " "))


def _protocol(content: bytes) -> int:
    """The protocol of a pickle, of those that write what all versions of Python 3 read."""
    return min(max(content[1] if content[:1] == b"\x80" else 2, 2), 4)


def _load(content: bytes, start: int, path: Path) -> Any:
    file = io.BytesIO(content)
    file.seek(start)
    return restricted_load(file, str(path), _NAMES, joblib=b"joblib.numpy_pickle" in content)


def _unpacked(content: bytes, path: Path) -> bytes:
    limit = max(MOST_UNPACKED, 100 * len(content))
    try:
        unpacker = zlib.decompressobj(32 + zlib.MAX_WBITS)  # zlib's header or gzip's
        unpacked = unpacker.decompress(content, limit + 1)
    except zlib.error as error:
        raise _damaged(path, error) from error
    if len(unpacked) > limit:
        raise SmoothNetError(
            f"{path} was refused: its {len(content)} bytes would unpack to more than {limit}, which no recording does"
        )
    if not unpacker.eof:
        raise _damaged(path, "it ends too early")
    return unpacked


def _read_npy(path: Path, content: bytes) -> Tree:
    """np.save of a dict: a header, and the pickle of an array of one object."""
    version, length = content[6:8], int.from_bytes(content[8:10], "little")
    start = 10 + length
    array = _load(content, start, path) if version == b"\x01\x00" else None
    if not isinstance(array, np.ndarray) or array.shape != () or array.dtype != object:
        raise SmoothNetError(f"{path} holds no dict of arrays")
    return Tree(path, array.item(), "npy", _protocol(content[start : start + 2]), head=content[:start])


def _read_torch(path: Path) -> Tree:
    with zipfile.ZipFile(path) as archive:
        refuse_bombs(archive.infolist(), str(path))
        sizes = {member.filename: member.file_size for member in archive.infolist()}
        prefix = _prefix(archive, path)
        content = archive.read(f"{prefix}data.pkl")
        if f"{prefix}byteorder" in sizes and archive.read(f"{prefix}byteorder") != b"little":
            raise SmoothNetError(f"{path} was written on a big-endian machine; save it again on another")
    storages: dict[str, Storage] = {}

    def outside(identity: Any) -> Storage:
        kind, key, location, numel = _identity(identity)
        member = f"{prefix}data/{key}"
        if sizes.get(member) != numel * np.dtype(_STORAGES[kind.name]).itemsize:
            raise pickle.UnpicklingError(f"it has not the {numel} numbers of {member}")
        return storages.setdefault(key, Storage(kind, key, location, numel, lambda: _member(path, member)))

    value = restricted_load(io.BytesIO(content), str(path), _NAMES, outside=outside)
    return Tree(path, value, "torch", 2)


def _prefix(archive: zipfile.ZipFile, path: Path) -> str:
    """The folder within the zip that all its members are in."""
    found = [name for name in archive.namelist() if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(found) != 1:
        raise SmoothNetError(f"{path} is not a file of torch.save")
    return found[0].removesuffix("data.pkl")


def _member(path: Path, name: str) -> bytes:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.read(name)
    except Exception as error:  # a damaged file fails in any way at all
        raise _damaged(path, error) from error


# --------------------------------------------------------------------------------------------------------- writing


class Drop:
    """In the changes for `write_tree`: this key goes."""


Changes = dict[int, dict[Any, Any]]  # id of a dict or list of the tree -> key or index -> its new value, or Drop


def write_tree(tree: Tree, changes: Changes, out: Path) -> None:
    """Write the tree with these changes in the form of its file; without any, the bytes of the file.

    Raises:
        SmoothNetError: `out` cannot be written, or the tree holds what only its own package can write.
    """
    if not changes:
        with tree.path.open("rb") as old, atomic_write(out) as new:
            shutil.copyfileobj(old, new, 2**20)
        return
    value = _changed(tree.value, changes, {})
    if tree.form == "torch":
        _write_torch(tree, value, out)
        return
    if tree.form == "npy":
        array = np.empty((), object)
        array[()] = value
        value = array
    content = tree.head + _dump(value, tree)
    with atomic_write(out) as file:
        file.write(tree.packed(content) if tree.packed else content)


def _changed(value: Any, changes: Changes, done: dict[int, Any]) -> Any:
    """A copy of the containers, with the changes in it; what is in them is the same. What was one object stays one."""
    if id(value) in done:
        return done[id(value)]
    mine = changes.get(id(value), {})
    if isinstance(value, dict):
        new = copy.copy(value)
        new.clear()
        done[id(value)] = new
        for key, item in value.items():
            if mine.get(key) is not Drop:
                new[key] = mine[key] if key in mine else _changed(item, changes, done)
        return new
    if isinstance(value, list):
        items: list[Any] = []
        done[id(value)] = items
        items += [mine[i] if i in mine else _changed(item, changes, done) for i, item in enumerate(value)]
        return items
    if type(value) is tuple:
        done[id(value)] = tuple(_changed(item, changes, done) for item in value)
        return done[id(value)]
    return value


_PicklerInPython: Any = pickle._Pickler  # the one in C has no `save` to change
_RECONSTRUCT, _NDARRAY = Named("numpy.core.multiarray", "_reconstruct"), Named("numpy", "ndarray")
_REBUILD_TENSOR = Named("torch._utils", "_rebuild_tensor_v2")
_LOAD_STORAGE = Named("torch.storage", "_load_from_bytes")
# What a tree can hold by name; any other would mean that something unforeseen got into it.
_WRITABLE = {
    *(("builtins", name) for name in ("dict", "list", "bytes")),
    *(("collections", name) for name in ("OrderedDict", "defaultdict")),
    *((f"numpy.{core}.multiarray", "scalar") for core in ("core", "_core")),
    ("numpy", "dtype"), ("_codecs", "encode"),
}  # fmt: skip


class _TreePickler(_PicklerInPython):
    """Writes a tree; of a `torch` file its storages by reference, which gather in `storages` by their key."""

    def __init__(self, file: io.BytesIO, tree: Tree):
        super().__init__(file, protocol=tree.protocol)
        self.by_reference = tree.form == "torch"
        self.storages: dict[str, Storage] = {}
        self._keys: dict[int, str] = {}

    def persistent_id(self, value: Any) -> Any:
        if not (self.by_reference and isinstance(value, Storage)):
            return None
        if id(value) not in self._keys:
            key = value.key
            if value.fresh:  # tensors that were not changed may still need the one of this key
                key = f"{key}.smoothed"
            while key in self.storages:
                key += "_"
            self._keys[id(value)], self.storages[key] = key, value
        return "storage", value.kind, self._keys[id(value)], value.location, value.numel

    def save_global(self, value: Any, name: str | None = None) -> None:
        name = name or value.__qualname__
        module = pickle.whichmodule(value, name)  # type: ignore[attr-defined]
        if (module, name) not in _WRITABLE:
            raise SmoothNetError(f"it holds {module}.{name}, which cannot be written back")
        if module.startswith("numpy._core"):
            self._save_named(Named(module.replace("_core", "core"), name))
        else:
            super().save_global(value, name)

    def _save_named(self, named: Named) -> None:
        if self.proto >= 4:
            self.save(named.module)
            self.save(named.name)
            self.write(pickle.STACK_GLOBAL)
        else:
            self.write(pickle.GLOBAL + f"{named.module}\n{named.name}\n".encode())
        self.memoize(named)

    def _save_tensor(self, tensor: Tensor) -> None:
        arguments = (tensor.storage, tensor.offset, tensor.size, tensor.stride, *tensor.rest)
        self.save_reduce(_REBUILD_TENSOR, arguments, obj=tensor)

    def _save_storage(self, storage: Storage) -> None:
        self.save_reduce(_LOAD_STORAGE, (storage.head + storage.load(),), obj=storage)

    def _save_array(self, array: np.ndarray) -> None:
        state = array.view(np.ndarray).__reduce__()[2]
        self.save_reduce(_RECONSTRUCT, (_NDARRAY, (0,), b"b"), state, obj=array)

    dispatch = {  # noqa: RUF012  (as in the base)
        **_PicklerInPython.dispatch,
        Named: _save_named,
        Tensor: _save_tensor,
        Storage: _save_storage,
        np.ndarray: _save_array,
        _Array: _save_array,
    }


def _dump(value: Any, tree: Tree, storages: dict[str, Storage] | None = None) -> bytes:
    file = io.BytesIO()
    pickler = _TreePickler(file, tree)
    try:
        pickler.dump(value)
    except (pickle.PicklingError, AttributeError, TypeError, SmoothNetError) as error:
        raise SmoothNetError(f"{tree.path} cannot be written back: {error}") from error
    if storages is not None:
        storages.update(pickler.storages)
    return file.getvalue()


def _write_torch(tree: Tree, value: Any, out: Path) -> None:
    """The zip with a new pickle, the storages that it needs, and all else as it was."""
    storages: dict[str, Storage] = {}
    content = _dump(value, tree, storages)
    try:
        with (
            zipfile.ZipFile(tree.path) as old,
            atomic_write(out) as file,
            zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as new,
        ):
            prefix = _prefix(old, tree.path)
            for member in old.infolist():
                key = member.filename.removeprefix(f"{prefix}data/")
                if member.filename == f"{prefix}data.pkl":
                    new.writestr(_stored(member.filename), content)
                elif key == member.filename or key in storages:
                    new.writestr(_stored(member.filename), old.read(member))
            for key, storage in storages.items():
                if storage.fresh:
                    new.writestr(_stored(f"{prefix}data/{key}"), storage.load())
    except (SmoothNetError, OSError):
        raise
    except Exception as error:  # a storage that was not needed so far can be damaged in any way
        raise _damaged(tree.path, error) from error


def _stored(name: str) -> zipfile.ZipInfo:
    return zipfile.ZipInfo(name)  # not packed, of 1980, as torch.save has it


__all__ = ["Changes", "Drop", "Tensor", "Tree", "holds_tree", "read_tree", "write_tree"]
