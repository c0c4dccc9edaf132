# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""From a pair of npz files to one block of frames that the network can read, and how such files are written.

The only door for pose data: everything is checked here, and trusted afterwards.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from ..utils.errors import SmoothNetError
from ..utils.files import atomic_write
from ..utils.gaps import bridge
from ..utils.rotations import axis_angle_to_6d
from ..utils.unpickle import Npz
from .facts import DATA_KEYS, Facts, find_facts

log = logging.getLogger(__name__)

H36M_HALF = 500.0  # Human3.6M images are about 1000 pixels wide and high
FARTHEST = 1e9  # of coordinates in any unit, and of angles: their squares are numbers of float32
WIDEST_BODY = 10.0  # metres, RMS from the middle of the joints; that of an adult is about 0.5
LARGEST = 1e6  # of boxes, in pixels, and of shape parameters, which are near 1


@dataclass
class PoseData:
    """All sequences of one dataset, estimator and phase, as one block of frames.

    Attributes:
        facts: the table's row, with joints filled in.
        estimator, phase: as in the file names.
        detected, groundtruth: (frames, channels) float32, in the network's space: metres for 3D, normalised pixels
            for 2D, 6D (or axis-angle) rotations for smpl. NaN frames are bridged by linear interpolation.
        offsets: (S + 1,) int64; sequence i is frames offsets[i] to offsets[i + 1].
        valid: (frames,) bool; False where the files had a NaN. Such frames count in no metric and no window.
        scale, shift: (S, dims) float32; metric space = network space x scale + shift (mm or pixels; not for smpl).
        names: one name per sequence, from the first image.
        bbox: (frames, 4) or None, x1 y1 x2 y2 in pixels.
        betas_detected, betas_groundtruth: (frames, 10) or None, SMPL shape.
    """

    facts: Facts
    estimator: str
    phase: str
    detected: torch.Tensor
    groundtruth: torch.Tensor
    offsets: torch.Tensor
    valid: torch.Tensor
    scale: torch.Tensor
    shift: torch.Tensor
    names: list[str]
    bbox: np.ndarray | None = None
    betas_detected: np.ndarray | None = None
    betas_groundtruth: np.ndarray | None = None

    @property
    def sequences(self) -> int:
        return len(self.offsets) - 1

    @property
    def frames(self) -> int:
        return len(self.detected)

    @property
    def label(self) -> str:
        return f"{self.facts.dataset}-{self.estimator}-{self.facts.representation} {self.phase}"

    def slice(self, i: int) -> slice:
        """The frames of sequence i."""
        return slice(int(self.offsets[i]), int(self.offsets[i + 1]))


def pose_files(base: str | Path, dataset: str, estimator: str, representation: str, phase: str) -> tuple[Path, Path]:
    """Paths of the ground truth and the detections in the official layout."""
    folder = Path(base) / f"{dataset}_{estimator}_{representation}"
    return (
        folder / "groundtruth" / f"{dataset}_gt_{representation}_{phase}.npz",
        folder / "detected" / f"{dataset}_{estimator}_{representation}_{phase}.npz",
    )


def load_poses(
    base: str | Path,
    dataset: str,
    estimator: str,
    representation: str,
    phase: str,
    *,
    root: Sequence[int] | None = None,
    use_6d: bool = True,
) -> PoseData:
    """Read and check one dataset.

    Args:
        base: folder of the official layout (data/poses).
        root: root joints that replace the table's.
        use_6d: smpl only: 6D rotations, else axis-angle.

    Raises:
        SmoothNetError: a missing, foreign or damaged file; names the file, sequence and frame.
    """
    facts, known = find_facts(dataset, estimator, representation)
    paths = pose_files(base, dataset, estimator, representation, phase)
    for path in paths:
        if not path.is_file():
            raise SmoothNetError(f"{path} does not exist; {_where_to_get(facts, estimator, phase)}")

    with Npz(paths[0]) as truth_file, Npz(paths[1]) as detected_file:
        lengths, names = _common_lengths(truth_file, detected_file)
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        truth = _block(truth_file, facts, lengths, offsets)
        detected = _block(detected_file, facts, lengths, offsets)
        image_size = _image_size(truth_file, lengths) if facts.pixels_need_size else None
        extras = _extras(truth_file, detected_file, facts, lengths, offsets)

    if truth.shape[1] != detected.shape[1]:
        raise SmoothNetError(
            f"{paths[0]} has {truth.shape[1]} numbers a frame but {paths[1]} has {detected.shape[1]}; they must match"
        )
    facts = _with_joints(facts, known, truth.shape[1], root, paths[0], estimator)
    valid = _bridge(truth, detected, offsets, paths[1].name)
    if representation == "3D":
        _warn_of_units(truth[valid].reshape(-1, facts.joints, 3), paths[0])
    scale, shift = _to_network(truth, detected, facts, image_size, offsets)
    if representation == "smpl" and use_6d:
        truth, detected = axis_angle_to_6d(truth), axis_angle_to_6d(detected)
    return PoseData(
        facts=facts,
        estimator=estimator,
        phase=phase,
        detected=torch.as_tensor(detected, dtype=torch.float32),
        groundtruth=torch.as_tensor(truth, dtype=torch.float32),
        offsets=torch.as_tensor(offsets, dtype=torch.int64),
        valid=torch.as_tensor(valid),
        scale=torch.as_tensor(scale, dtype=torch.float32),
        shift=torch.as_tensor(shift, dtype=torch.float32),
        names=names,
        **extras,
    )


def write_poses(
    base: str | Path,
    dataset: str,
    estimator: str,
    representation: str,
    phase: str,
    images: Sequence[Sequence[str] | np.ndarray],
    truth: Sequence[np.ndarray],
    detected: Sequence[np.ndarray],
    of_truth: Mapping[str, Sequence[Any]] = MappingProxyType({}),
    compress: bool = True,
) -> list[Path]:
    """Write one phase of a dataset in the official layout, each file whole or not at all.

    Args:
        base: folder of the official layout; made if it is not there.
        images: the names of its frames for each sequence; truth, detected: (L, channels) for each.
        of_truth: further arrays of the ground truth's file, one item a sequence.

    Returns:
        The two files written.

    Raises:
        SmoothNetError: one cannot be written.
    """
    key = DATA_KEYS[representation]
    paths = pose_files(base, dataset, estimator, representation, phase)
    for path, poses, rest in zip(paths, (truth, detected), (of_truth, {}), strict=True):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SmoothNetError(
                f"cannot make the folder {path.parent}: {error.strerror or error}; choose another output"
            ) from error
        arrays: dict[str, Any] = {
            name: _objects(items) for name, items in {"imgname": images, key: poses, **rest}.items()
        }
        with atomic_write(path) as file:
            (np.savez_compressed if compress else np.savez)(file, **arrays)
    return list(paths)


def refuse_existing(base: str | Path, dataset: str, estimator: str, representation: str) -> None:
    """Raise SmoothNetError if a file of the dataset is there already, be it behind a link."""
    for phase in ("train", "test"):
        for path in pose_files(base, dataset, estimator, representation, phase):
            if os.path.lexists(path):
                raise SmoothNetError(f"{path} is there already; choose another --output, or replace it with --force")


def _objects(items: Sequence[Any]) -> np.ndarray:
    """(S,) object array of arrays, also where all have the same length (numpy would stack them)."""
    array = np.empty(len(items), dtype=object)
    for i, item in enumerate(items):
        array[i] = np.asarray(item)
    return array


def _where_to_get(facts: Facts, estimator: str, phase: str) -> str:
    published = facts.train_estimators
    if phase == "train" and published is not None and estimator not in published:
        others = f"there are some of {', '.join(published)}" if published else "it is published for testing only"
        return f"no train files of {facts.dataset} {facts.representation} with {estimator} were published: {others}"
    return f"data/README.md says where to get {facts.dataset} and what to put where"


def _bridge(truth: np.ndarray, detected: np.ndarray, offsets: np.ndarray, name: str) -> np.ndarray:
    """Bridge the NaN frames of each sequence in place; return (frames,) bool, where there are none."""
    valid = np.isfinite(truth).all(1) & np.isfinite(detected).all(1)
    if not valid.any():
        raise SmoothNetError(f"every frame of {name} has NaN, here or in its ground truth: nothing is left to measure")
    missing = np.flatnonzero(~valid)
    if len(missing):
        log.warning(
            "%s: %d of %d frames have NaN and are left out of training windows and of every metric",
            name, len(missing), len(valid),
        )  # fmt: skip
    for i in np.unique(np.searchsorted(offsets, missing, side="right") - 1):
        for block in (truth, detected):
            rows = slice(offsets[i], offsets[i + 1])
            block[rows] = bridge(block[rows])
    return valid


def _warn_of_units(truth: np.ndarray, path: Path) -> None:
    """Say so where (frames, joints, 3) are too far apart for metres, as which the network and all figures take them."""
    apart = np.median(np.sqrt(truth.var(axis=1).sum(-1)))
    if apart > WIDEST_BODY:
        log.warning(
            "%s: its joints lie %.3g from their middle (RMS), in metres; if these are mm or cm, divide by 1000 or 100, "
            "or every figure is so many times too large", path, apart,
        )  # fmt: skip


def _with_joints(
    facts: Facts, known: bool, width: int, root: Sequence[int] | None, path: Path, estimator: str
) -> Facts:
    """The facts with the joints that the file has (`width` numbers a frame) and the root that was asked for."""
    joints, expected = width // (3 if facts.representation == "smpl" else facts.dims), facts.joints
    facts = replace(facts, joints=joints, root=facts.root if root is None else tuple(root))
    if facts.representation == "3D" and max(facts.root) >= joints:
        raise SmoothNetError(
            f"the root joints {list(facts.root)} of {facts.dataset} lie outside the {joints} joints of {path}; "
            f"set DATASET.ROOT_{facts.dataset.upper()}_{estimator.upper()}_3D"
        )
    if not known:
        log.info(
            "%s is not in the table of datasets; taken: %d joints (from the file)%s; compared: %s",
            facts.dataset, joints, f", root joints {list(facts.root)}" if facts.representation == "3D" else "",
            ", ".join(facts.spaces),
        )  # fmt: skip
    elif joints != expected:
        log.warning(
            "%s has %d joints, but those of %s with %s have %d: all are taken%s, and no figure published for it is "
            "one of these joints", path, joints, facts.dataset, estimator, expected,
            f", the root is {list(facts.root)}" if facts.representation == "3D" else "",
        )  # fmt: skip
        facts = replace(facts, skeleton="")
    return facts


def _common_lengths(truth: Npz, detected: Npz) -> tuple[np.ndarray, list[str]]:
    """Frames per sequence and a name for each, which both files must agree on."""
    (lengths, names), (others, _) = _lengths(truth), _lengths(detected)
    if len(lengths) != len(others):
        raise SmoothNetError(
            f"{truth.path} has {len(lengths)} sequences but {detected.path} has {len(others)}; they must match"
        )
    for i in np.flatnonzero(lengths != others):
        raise SmoothNetError(f"sequence {i} has {lengths[i]} frames in {truth.path} but {others[i]} in {detected.path}")
    return lengths, names


def _lengths(file: Npz) -> tuple[np.ndarray, list[str]]:
    """Frames per sequence and a name for each, from imgname."""
    imgname = file["imgname"]
    if imgname.ndim == 0 or len(imgname) == 0:
        raise SmoothNetError(f"{file.path} has no sequences (its imgname is empty)")
    if imgname.ndim == 1 and imgname.dtype != object:
        raise SmoothNetError(f"imgname in {file.path} must hold one list of image names for each sequence")
    lengths, names = [], []
    for i, sequence in enumerate(imgname):
        if isinstance(sequence, str) or not hasattr(sequence, "__len__") or getattr(sequence, "shape", None) == ():
            raise SmoothNetError(f"imgname of sequence {i} in {file.path} is not a list of image names")
        if len(sequence) == 0:
            raise SmoothNetError(f"sequence {i} in {file.path} has no frames; remove it")
        lengths.append(len(sequence))
        names.append(str(sequence[0]))
    return np.array(lengths, dtype=np.int64), names


def _sequences(file: Npz, key: str, lengths: np.ndarray) -> list[np.ndarray]:
    array = file[key]
    if array.ndim == 0 or len(array) != len(lengths):
        count = len(array) if array.ndim else 0
        raise SmoothNetError(f"{key} in {file.path} has {count} sequences but imgname has {len(lengths)}")
    sequences = list(array)
    for i, (sequence, length) in enumerate(zip(sequences, lengths, strict=True)):
        try:
            sequences[i] = sequence = np.asarray(sequence)
        except ValueError:
            raise SmoothNetError(f"{key} of sequence {i} in {file.path} has frames of unequal size") from None
        if sequence.dtype == object and sequence.ndim == 2:  # a ragged array of S equal lengths pickles like this
            with suppress(TypeError, ValueError):
                sequences[i] = sequence = sequence.astype(np.float64)
        if sequence.dtype.kind not in "fiu":
            raise SmoothNetError(f"{key} of sequence {i} in {file.path} holds {sequence.dtype}, not numbers")
        if sequence.ndim == 0 or len(sequence) != length:
            raise SmoothNetError(
                f"{key} of sequence {i} in {file.path} has {len(sequence) if sequence.ndim else 0} frames "
                f"but imgname has {length}"
            )
    return sequences


def _block(file: Npz, facts: Facts, lengths: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The coordinates of all sequences as (frames, channels) float32, re-ordered."""
    key = facts.data_key
    if key == "pose" and key not in file and "psoe" in file:  # one published upload spells it so
        key = "psoe"
    sequences: list[Any] = _sequences(file, key, lengths)
    dims = 3 if facts.representation == "smpl" else facts.dims
    stored = max(facts.order) + 1 if facts.order else facts.joints
    block = np.empty((offsets[-1], 0), np.float32)
    for i in range(len(sequences)):
        sequence, sequences[i] = sequences[i], None  # so that memory holds float64 files only once
        flat = sequence.reshape(len(sequence), -1)
        joints = flat.shape[1] // dims
        if flat.shape[1] % dims or joints == 0 or (stored and not _joints_fit(joints, stored, facts)):
            raise SmoothNetError(
                f"{key} of sequence {i} in {file.path} has {flat.shape[1]} numbers a frame; "
                + (f"{stored} joints x {dims} are expected" if stored else f"a multiple of {dims} is expected")
            )
        if facts.order:
            flat = flat.reshape(len(flat), joints, dims)[:, facts.order].reshape(len(flat), -1)
        if i == 0:
            block = np.empty((offsets[-1], flat.shape[1]), np.float32)
        elif flat.shape[1] != block.shape[1]:
            raise SmoothNetError(
                f"{key} of sequence {i} in {file.path} has {flat.shape[1]} numbers a frame, "
                f"sequence 0 has {block.shape[1]}"
            )
        with np.errstate(over="ignore"):
            block[offsets[i] : offsets[i + 1]] = flat
        far = np.abs(block[offsets[i] : offsets[i + 1]]) >= FARTHEST
        if far.any():
            frame, channel = (int(number) for number in np.argwhere(far)[0])
            value = block[offsets[i] + frame, channel]
            said = "infinite" if np.isinf(value) else f"{value:.4g}, further than any pose reaches"
            raise SmoothNetError(
                f"{key} of sequence {i}, frame {frame} in {file.path} is {said}; write NaN for what is unknown"
            )
    return block


def _joints_fit(joints: int, stored: int, facts: Facts) -> bool:
    """Whether files of so many joints can be read: more where some are picked, others where nothing hangs on it."""
    return joints >= stored if facts.order else joints == stored or facts.representation != "smpl"


def _image_size(file: Npz, lengths: np.ndarray) -> np.ndarray:
    """(S, 2) float32: width and height of the images of each sequence."""
    try:
        size = np.stack([np.asarray(row, np.float32).ravel()[[1, 0]] for row in file["imgshape"]])
    except (TypeError, ValueError, IndexError):
        raise SmoothNetError(f"imgshape in {file.path} must be [height, width] for each sequence") from None
    if len(size) != len(lengths) or not bool((size > 0).all()):
        raise SmoothNetError(f"imgshape in {file.path} must be [height, width], above 0, for each sequence")
    return size


def _extras(truth: Npz, detected: Npz, facts: Facts, lengths: np.ndarray, offsets: np.ndarray) -> dict[str, np.ndarray]:
    """Boxes and body shapes, where the representation has them."""
    if facts.pixels_need_size:
        return {"bbox": _rows(truth, "bbox", 4, lengths, offsets)}
    if facts.representation != "smpl":
        return {}
    mean_body = np.zeros((offsets[-1], 10), np.float32)  # AIST++ ground truth has no shape
    return {
        "betas_detected": _rows(detected, "shape", 10, lengths, offsets),
        "betas_groundtruth": _rows(truth, "shape", 10, lengths, offsets) if "shape" in truth else mean_body,
    }


def _rows(file: Npz, key: str, width: int, lengths: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    block = np.empty((offsets[-1], width), np.float32)
    for i, sequence in enumerate(_sequences(file, key, lengths)):
        if sequence.ndim != 2 or sequence.shape[1] != width:
            raise SmoothNetError(f"{key} of sequence {i} in {file.path} must have {width} numbers a frame")
        odd = np.flatnonzero(~(np.abs(sequence) < LARGEST).all(axis=1))
        if len(odd):
            raise SmoothNetError(
                f"{key} of sequence {i} in {file.path} holds NaN, infinity or {LARGEST:g} and more in frame {odd[0]}; "
                "give that frame the values of its neighbours"
            )
        block[offsets[i] : offsets[i + 1]] = sequence
    return block


def _to_network(
    truth: np.ndarray, detected: np.ndarray, facts: Facts, image_size: np.ndarray | None, offsets: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Bring 2D pixels into the network's space, in place; return (scale, shift) that lead to the metrics' space."""
    count, dims = len(offsets) - 1, facts.dims
    if facts.representation != "2D":
        return np.full((count, dims), 1000.0), np.zeros((count, dims))  # metres -> mm
    if image_size is None:
        scale = shift = np.full((count, 2), H36M_HALF)
    else:
        scale, shift = image_size, image_size * 0.5
    for i in range(count):
        for block in (truth, detected):
            rows = block[offsets[i] : offsets[i + 1]].reshape(-1, facts.joints, 2)
            rows -= shift[i]
            rows /= scale[i]
    return scale, shift
