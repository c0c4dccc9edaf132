# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The files of video-to-SMPL systems: pickled dicts of WHAM, GVHMR, TRAM, PHALP / 4D-Humans, PromptHMR, VIBE, and of
AMASS, SMPL-H, SMPL-X and AIST++.

A tool is a row of `TOOLS`: how its file is told by its keys, and what is in it. Rotations are smoothed as rotations in
whatever form they have, translations as points; a person's frames stand where the file's frame numbers say, so that
numbers that jump are gaps. What was computed from the poses (vertices, joints, projections) would no longer fit the
smoothed ones: it is dropped, and said. The forms are those of the tools' documentation, see docs/formats-smpl.md.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..utils.errors import SmoothNetError
from ..utils.last_read import LastRead
from ..utils.pickled import Changes, Drop, Tensor, Tree, holds_tree, write_tree
from ..utils.pickled import read_tree as read_pickled
from .layout import Layout
from .recording import Recording, Track
from .rotations import from_6d, looks_like, to_6d
from .smpl import TRANSLATION, pose_form
from .timeline import timeline

# What tools call a pose of rotation matrices, and the translation.
_ALIASES = {"pred_rotmat": "poses", "rotmat": "poses", "pred_trans": "trans"}
_FRAMES = ("frame_ids", "frames", "frame", "frame_id")
_FPS = ("mocap_framerate", "mocap_frame_rate", "fps")
# Computed from the poses, in the words of any of the tools.
_DERIVED = frozenset(
    ("verts", "vertices", "verts_cam", "joints", "joints3d", "joints_3d", "smpl_joints3d", "smpl_joints2d", "kp_3d",
     "3d_joints", "2d_joints")
)  # fmt: skip


@dataclass
class Piece:
    """The numbers of one person that belong together: a pose or a translation over its frames."""

    person: Hashable
    part: str
    form: str  # a key of rotations.FORMS, or "points"
    numbers: np.ndarray  # (rows, joints, numbers of a joint)
    places: list[tuple[Any, Any]]  # container and key or index of each array; together they have these rows
    frames: list[Hashable] | None = None  # what the file calls the frame of each row; None: they are counted


@dataclass
class Found:
    """What a tool's file holds."""

    pieces: list[Piece] = field(default_factory=list)
    dropped: list[tuple[Any, Any]] = field(default_factory=list)  # container and key
    left_alone: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    fps: float | None = None


@dataclass(frozen=True)
class Tool:
    """A row of FORMATS but for the functions, and how to find the people in the tree; None: another tool's file."""

    name: str
    text: str
    smoothed: str
    left_alone: str
    find: Callable[[Any, str], Found | None]  # (tree, how errors name the file)


# ---------------------------------------------------------------------------------------------- numbers in the tree


def _numbers(value: Any, where: str) -> np.ndarray | None:
    """The floats of an array, a tensor or a short list; None: it is nothing of these."""
    if isinstance(value, Tensor):
        if value.storage.dtype.kind != "f":
            return None
        try:
            return value.array()
        except ValueError as error:
            raise SmoothNetError(f"{where} was refused: {error}") from error
    if isinstance(value, np.ndarray):
        return value.view(np.ndarray) if value.dtype.kind == "f" else None
    if isinstance(value, list | tuple) and value and all(isinstance(number, float) for number in value):
        return np.array(value, np.float64)
    return None


def _like(value: Any, numbers: np.ndarray) -> Any:
    """`numbers` as an object of the kind of `value`: its type, shape, dtype and order of axes."""
    if isinstance(value, Tensor):
        return value.with_numbers(numbers.reshape(value.size))
    if isinstance(value, np.ndarray):
        order = "F" if value.flags.f_contiguous and not value.flags.c_contiguous else "C"
        return np.array(numbers.reshape(value.shape), value.dtype, order=order)  # type: ignore[call-overload]
    return type(value)(numbers.ravel().tolist())


def _is_numeric(value: Any) -> bool:
    """Whether it is an array of several numbers, whose name is told when it is left alone."""
    if isinstance(value, Tensor):
        return int(np.prod(value.size)) > 1
    return isinstance(value, np.ndarray) and value.dtype.kind in "fiuc" and value.size > 1


def _labels(value: Any, where: str) -> list[Hashable] | None:
    """Frame numbers as an array, a tensor or a list."""
    try:
        array = value.array() if isinstance(value, Tensor) else np.asarray(value)
    except ValueError as error:
        raise SmoothNetError(f"{where} was refused: {error}") from error
    if array.dtype.kind in "iu" or (array.dtype.kind == "f" and np.array_equal(array, np.round(array))):
        return [int(number) for number in array.ravel()]
    return None


# -------------------------------------------------------------------------------------------------------- the tools


def _read_body(found: Found, fields: dict, person: Hashable, where: str, frames: Any = None, prefix: str = "") -> None:
    """Take the poses and translations of one dict by their names; the rest is dropped or left alone.

    Args:
        frames: the frame numbers of its rows, if they do not stand in the dict itself.
    """
    poses: dict[str, tuple[str, np.ndarray]] = {}
    for key, value in fields.items():
        name = _ALIASES.get(key, key) if isinstance(key, str) else ""
        shape = tuple(value.size) if isinstance(value, Tensor) else getattr(value, "shape", ())
        meaning = pose_form(name, shape)
        numbers = _numbers(value, f"{where}, {key}") if meaning else None
        if meaning and numbers is not None:
            poses[key] = (meaning[0], numbers.reshape(meaning[1]))
            if poses[key][1].size and not looks_like(meaning[0], poses[key][1].reshape(-1, meaning[1][2])):
                raise SmoothNetError(f"{where}: {prefix}{key} holds numbers that are no rotations")
    lengths = {len(numbers) for _, numbers in poses.values()}
    for key, value in fields.items():
        if not isinstance(key, str) or not poses or not TRANSLATION.fullmatch(_ALIASES.get(key, key).lower()):
            continue
        numbers = _numbers(value, f"{where}, {key}")
        if (
            numbers is not None
            and numbers.shape[:1]
            and numbers.shape[0] in lengths
            and numbers[0].shape in ((3,), (1, 3))
        ):
            poses[key] = ("points", numbers.reshape(-1, 1, 3))
    at = next((key for key in _FRAMES if key in fields), None)
    labels = _labels(fields[at] if at else frames, f"{where}, {at}") if at or frames is not None else None
    for key, (form, numbers) in poses.items():
        if labels is not None and len(labels) != len(numbers):
            raise SmoothNetError(f"{where}: {prefix}{key} has {len(numbers)} frames, {at or 'frames'} {len(labels)}")
        found.pieces.append(Piece(person, prefix + key, form, numbers, [(fields, key)], labels))
    if not poses:
        return
    for key, value in fields.items():
        if key in _DERIVED and value is not None:
            found.dropped.append((fields, key))
        elif key not in poses and key != at and _is_numeric(value):
            found.left_alone.append(f"{prefix}{key}")


def _people(tree: Any) -> dict[Hashable, dict]:
    """The dicts that a dict has by the id of a person."""
    return {key: value for key, value in tree.items() if isinstance(value, dict)} if isinstance(tree, dict) else {}


def _of_people(needed: Iterable[set[str]], refused: set[str] = frozenset()) -> Callable[[Any, str], Found | None]:  # type: ignore[assignment]
    """Files that have a dict of arrays for each person; all keys of one of the sets tell them."""

    def find(tree: Any, where: str) -> Found | None:
        people = _people(tree)
        if not any(
            keys <= fields.keys() and not refused & fields.keys() for fields in people.values() for keys in needed
        ):
            return None
        found = Found()
        for person, fields in people.items():
            _read_body(found, fields, person, f"{where}, person {person}")
        return found

    return find


def _find_gvhmr(tree: Any, where: str) -> Found | None:
    """{"smpl_params_global": {...}, "smpl_params_incam": {...}, "K_fullimg", "net_outputs"} (GVHMR, tools/demo)."""
    names = ("smpl_params_global", "smpl_params_incam")
    if not any(name in _people(tree) for name in names):
        return None
    found = Found()
    for name in names:
        if isinstance(tree.get(name), dict):
            _read_body(found, tree[name], 0, f"{where}, {name}", prefix=f"{name}.")
    found.left_alone += [key for key, value in tree.items() if _is_numeric(value)]
    inner = tree.get("net_outputs")
    if isinstance(inner, dict) and inner:
        copies = [key for key in inner if str(key).startswith("pred_smpl_params") or key == "decode_dict"]
        found.dropped += [(inner, key) for key in copies]
        found.left_alone.append("net_outputs")
    return found


def _find_tram(tree: Any, where: str) -> Found | None:
    """{"pred_cam", "pred_pose", "pred_shape", "pred_rotmat", "pred_trans", "frame"} of one person (TRAM, hps/)."""
    if not isinstance(tree, dict) or "pred_rotmat" not in tree:
        return None
    found = Found()
    _read_body(found, tree, 0, where)
    if "pred_pose" in tree and found.pieces:  # the same rotations, as the network gave them: six numbers each
        found.left_alone = [name for name in found.left_alone if name != "pred_pose"]
        found.dropped.append((tree, "pred_pose"))
    return found


def _find_prompthmr(tree: Any, where: str) -> Found | None:
    """{"people": {id: {"frames", "smplx_cam": {...}, "smplx_world": {...}}}, "camera"} (PromptHMR, results.pkl)."""
    people = _people(tree.get("people")) if isinstance(tree, dict) else {}
    parts = ("smplx_cam", "smplx_world")
    if not any(part in fields for fields in people.values() for part in parts):
        return None
    found = Found()
    for person, fields in people.items():
        for part in parts:
            if isinstance(fields.get(part), dict):
                at = f"{where}, person {person}, {part}"
                _read_body(found, fields[part], person, at, fields.get("frames"), f"{part}.")
        found.left_alone += [key for key, value in fields.items() if key not in _FRAMES and _is_numeric(value)]
    found.left_alone += [key for key in ("camera", "camera_world", "masks") if tree.get(key) is not None]
    return found


def _find_phalp(tree: Any, where: str) -> Found | None:
    """{frame name: {"tid": [...], "smpl": [{"global_orient", "body_pose", "betas"}], "camera": [...], ...}} (PHALP,
    4D-Humans). Lists have an entry a person; `tracked_time` above 0 marks one that was not seen in this frame, whose
    entry repeats an older one: that is a gap."""
    frames = _people(tree)
    if not any(isinstance(f.get("smpl"), list) and ("tid" in f or "tracked_ids" in f) for f in frames.values()):
        return None
    found = Found()
    gathered: dict[tuple[Hashable, str], Piece] = {}
    rows: dict[tuple[Hashable, str], list[np.ndarray]] = {}
    ghosts = 0
    for name, frame in frames.items():
        bodies = frame.get("smpl")
        if not isinstance(bodies, list):
            continue
        ids = next((i for i in (frame.get("tid"), frame.get("tracked_ids")) if _is_list_of(i, len(bodies))), None)
        if ids is None:
            raise SmoothNetError(f"{where}, frame {name}: there are {len(bodies)} bodies, and not as many track ids")
        unseen = frame.get("tracked_time")
        unseen = unseen if isinstance(unseen, list) and len(unseen) == len(bodies) else [0] * len(bodies)
        for index, body in enumerate(bodies):
            if unseen[index] != 0:
                ghosts += 1
                continue
            places = [(body, key) for key in body] if isinstance(body, dict) else []
            if _is_list_of(frame.get("camera"), len(bodies)):
                places.append((frame["camera"], index))
            for container, key in places:
                part = "camera" if container is frame.get("camera") else key
                at = f"{where}, frame {name}, person {ids[index]}, {part}"
                numbers = _numbers(container[key], at)
                if numbers is None or part not in ("global_orient", "body_pose", "camera"):
                    continue
                form, each = ("points", 3) if part == "camera" else ("matrix", 9)
                if numbers.size % each or not numbers.size or (part == "camera" and numbers.size != 3):
                    raise SmoothNetError(f"{at} has shape {numbers.shape}, which is not that of {form}")
                numbers = numbers.reshape(1, -1, each)
                if form == "matrix" and not looks_like(form, numbers[0]):
                    raise SmoothNetError(f"{at} holds numbers that are no rotations")
                whose = (_plain(ids[index]), part)
                piece = gathered.setdefault(whose, Piece(whose[0], part, form, numbers, [], []))
                if numbers.shape != piece.numbers.shape:
                    raise SmoothNetError(f"{at} has another shape than in the frames before")
                piece.places.append((container, key))
                piece.frames.append(name)  # type: ignore[union-attr]
                rows.setdefault(whose, []).append(numbers)
        found.dropped += [(frame, key) for key in ("3d_joints", "2d_joints", "pose") if key in frame]
    for whose, piece in gathered.items():
        piece.numbers = np.concatenate(rows[whose])
    found.pieces = list(gathered.values())
    found.left_alone = [
        "betas",
        "camera_bbox",
        *(key for f in frames.values() for key in ("bbox", "appe", "loca") if key in f),
    ]
    if ghosts:
        found.notes.append(f"{ghosts} entries of people who were not seen (tracked_time above 0) stay as they are")
    return found


def _is_list_of(value: Any, length: int) -> bool:
    return isinstance(value, list) and len(value) == length


def _plain(person: Any) -> Hashable:
    return int(person) if isinstance(person, np.integer) else person if isinstance(person, int | str) else str(person)


def _find_parameters(tree: Any, where: str) -> Found | None:
    """{"poses" or "smpl_poses" or "body_pose", ..., "trans"}: AMASS, SMPL-H, SMPL-X, AIST++ as pickles."""
    if not isinstance(tree, dict):
        return None
    found = Found()
    _read_body(found, tree, 0, where)
    if not found.pieces:
        for person, fields in _people(tree).items():
            _read_body(found, fields, _plain(person), f"{where}, {person}")
    rate = next((tree[key] for key in _FPS if isinstance(tree.get(key), int | float | np.number)), None)
    found.fps = float(rate) if rate else None
    return found if any(piece.form != "points" for piece in found.pieces) else None


TOOLS = (
    Tool("gvhmr", "GVHMR hmr4d_results.pt", "body_pose, global_orient, transl of both frames of reference",
         "betas, K_fullimg, net_outputs but for its copies of the poses, which are dropped", _find_gvhmr),
    Tool("vibe", "VIBE vibe_output.pkl", "pose", "betas, cameras, boxes; verts and joints are dropped",
         _of_people([{"pose", "orig_cam"}, {"pose", "pred_cam"}])),
    Tool("wham", "WHAM wham_output.pkl", "pose, trans, pose_world, trans_world", "betas; verts are dropped",
         _of_people([{"pose_world"}, {"pose", "trans", "frame_ids"}])),
    Tool("prompthmr", "PromptHMR results.pkl", "pose, rotmat, trans of smplx_cam and smplx_world",
         "shapes, cameras, masks, 2D keypoints", _find_prompthmr),
    Tool("phalp", "PHALP or 4D-Humans .pkl", "global_orient, body_pose, camera of each person",
         "betas, boxes, features; 2D and 3D joints and the pose feature are dropped", _find_phalp),
    Tool("tram", "TRAM hps_track_N.npy", "pred_rotmat, pred_trans", "pred_shape, pred_cam; pred_pose is dropped",
         _find_tram),
    Tool("smpl-pickle", ".pkl with SMPL parameters (AMASS, AIST++, SMPL-H, SMPL-X)",
         "poses of body, hands, jaw and eyes, translations", "betas, expression; vertices and joints are dropped",
         _find_parameters),
)  # fmt: skip


# --------------------------------------------------------------------------------------------------------- reading


read_tree = LastRead(read_pickled)  # each format's sniffer looks at the same file, and then it is read


def _sniffer(tool: Tool) -> Callable[[Path], bool]:
    def sniff(path: Path) -> bool:
        return holds_tree(path) and _tool_of(path) is tool

    return sniff


@LastRead
def _tool_of(path: Path) -> Tool | None:
    tree = read_tree(path)
    return next((tool for tool in TOOLS if tool.find(tree.value, str(path)) is not None), None)


def forget() -> None:
    """Let go of the file that was read last."""
    read_tree.forget()
    _tool_of.forget()


def _reader(tool: Tool) -> Callable[..., Recording]:
    def read(path: Path, dims: int | None = None, layout: Layout | None = None) -> Recording:
        if not holds_tree(path):
            raise SmoothNetError(f"{path} is not {tool.text}")
        tree = read_tree(path)
        found = tool.find(tree.value, str(path))
        if found is None:
            raise SmoothNetError(f"{path} is not {tool.text}: its keys are others")
        return _recording(tree, tool, found)

    return read


def _recording(tree: Tree, tool: Tool, found: Found) -> Recording:
    if not any(len(piece.numbers) for piece in found.pieces):
        raise SmoothNetError(f"{tree.path} holds no poses: {tool.text} was found to have nobody in it")
    labels = [label for piece in found.pieces for label in piece.frames or ()]
    time = timeline(sorted(set(labels)) if all(isinstance(label, int) for label in labels) else labels)
    tracks = []
    for piece in found.pieces:
        if not len(piece.numbers):
            continue
        frames = np.array([time[label] for label in piece.frames] if piece.frames else np.arange(len(piece.numbers)))
        if len(set(frames.tolist())) < len(frames):
            raise SmoothNetError(f"{tree.path}, person {piece.person}: a frame comes twice in {piece.part}")
        tracks.append(_track(piece, frames))
    dropped = list(dict.fromkeys(str(key) for _, key in found.dropped))
    notes = list(found.notes)
    if dropped:
        notes.append(f"{', '.join(dropped)} dropped: computed from the poses before they were smoothed")
    count = max(track.start + len(track.points) for track in tracks)
    left = [name for name in found.left_alone if name not in dropped]
    source = (tree, found.dropped)
    return Recording(tree.path, tool.name, tracks, count, found.fps, source=source, left_alone=left, notes=notes)


def _track(piece: Piece, frames: np.ndarray) -> Track:
    """The piece on its frames, NaN where it has none."""
    values = piece.numbers.astype(np.float64)
    values = np.where(np.isfinite(values), values, np.nan) if piece.form == "points" else to_6d(values, piece.form)
    start, length = int(frames.min()), int(np.ptp(frames)) + 1
    points = np.full((length, *values.shape[1:]), np.nan)
    points[frames - start] = values
    in_file = np.zeros(points.shape[:2], bool)
    in_file[frames - start] = True
    kind = "points" if piece.form == "points" else "rotations"
    return Track(
        _plain(piece.person), points, start, None, kind, piece.part, in_file, (piece, frames - start), piece.form
    )


# --------------------------------------------------------------------------------------------------------- writing


def write_tool(recording: Recording, smoothed: list[np.ndarray], out: Path) -> None:
    tree, dropped = recording.source
    changes: Changes = {}
    for track, new in zip(recording.tracks, smoothed, strict=True):
        piece, rows = track.where
        values, old = new[rows], track.points[rows]
        changed = np.isfinite(values).all(axis=2) & (values != old).any(axis=2)
        if not changed.any():
            continue
        numbers = np.array(piece.numbers, np.float64)
        if piece.form == "points":
            numbers[changed] = values[changed]
        else:
            numbers[changed] = from_6d(values[changed], piece.form, numbers[changed])
        each = len(numbers) // len(piece.places)
        for index, (container, key) in enumerate(piece.places):
            part = slice(index * each, (index + 1) * each)
            if changed[part].any():
                changes.setdefault(id(container), {})[key] = _like(container[key], numbers[part])
    if changes:  # else the poses are what they were, and what was computed from them fits
        for container, key in dropped:
            changes.setdefault(id(container), {})[key] = Drop
    write_tree(tree, changes, out)


ROWS: tuple[tuple[Any, ...], ...] = tuple(
    (tool.name, "body models", tool.text, tool.smoothed, tool.left_alone, _sniffer(tool), _reader(tool), write_tool)
    for tool in TOOLS
)
