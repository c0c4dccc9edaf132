# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""What to say of a file that no format knows: what it looks like, which format is nearest and why it is not that, and
the option or the line of Python that would do it."""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

from ..utils.errors import SmoothNetError
from . import h5
from .documents import read_document
from .text import printable

_LINE = 'import numpy; numpy.save("poses.npy", {})'
_ARRAY = _LINE.format("POINTS") + " of shape (frames, joints, 2 or 3)"

# ending -> (what it looks like, what to do)
_ENDINGS = {
    **dict.fromkeys(
        (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".gif"),
        ("a video", "poses are smoothed, so run a pose estimator on it first and give what that writes"),
    ),
    **dict.fromkeys(
        (".png", ".jpg", ".jpeg", ".bmp", ".webp"),
        ("a picture", "poses of several frames are smoothed; give what a pose estimator writes for the video"),
    ),
    **dict.fromkeys(
        (".pt", ".pth"),
        ("a network, or tensors of no known tool", "weights are named with --checkpoint; where these are poses, save "
         "their tensor: import torch; "
         + _LINE.format('torch.load("{name}", weights_only=True)["NAME"].cpu().numpy()')),
    ),
    **dict.fromkeys(
        (".tar", ".ckpt", ".onnx", ".task", ".tflite", ".engine"),
        ("a network", "weights are named with --checkpoint; the input is what a pose estimator writes"),
    ),
    **dict.fromkeys(
        (".pkl", ".pickle", ".pk", ".p", ".joblib", ".p3d"),
        ("a Python pickle of no known tool", "where you trust it (it can run anything), save its array: " + _ARRAY),
    ),
    ".mat": ("a MATLAB file", 'save its array: import scipy.io; ' + _LINE.format('scipy.io.loadmat("{name}")["NAME"]')),
    ".parquet": ("a table of Parquet", 'import pandas; pandas.read_parquet("{name}").to_csv("poses.csv", index=False)'),
    ".feather": ("a table of Feather", 'import pandas; pandas.read_feather("{name}").to_csv("poses.csv", index=False)'),
    **dict.fromkeys(
        (".xlsx", ".xlsm", ".xls", ".ods"),
        ("a spreadsheet", 'import pandas; pandas.read_excel("{name}").to_csv("poses.csv", index=False)'),
    ),
    **dict.fromkeys(
        (".fbx", ".glb", ".gltf", ".usd", ".usda", ".usdz", ".blend", ".vrm", ".vmd"),
        ("an animation of a 3D program", "export it as .bvh, which is read and written"),
    ),
    **dict.fromkeys(
        (".zip", ".gz", ".7z", ".rar", ".tgz"), ("an archive", "unpack it and give the files or the folder in it")
    ),
    **dict.fromkeys(
        (".xml", ".osim", ".urdf", ".yaml", ".yml", ".toml"), ("a document", "save positions: " + _ARRAY)
    ),
    **dict.fromkeys(
        (".bag", ".mcap", ".db3"),
        ("a recording of ROS", "write its poses to a .csv with a row a message, such as x, y, z of each joint"),
    ),
    **dict.fromkeys(
        (".anim", ".uasset"), ("an animation of a game engine", "export it as .bvh, or write positions to a .csv")
    ),
    **dict.fromkeys(
        (".amc", ".asf", ".htr", ".csm", ".trb", ".anb"),
        ("motion capture of a form that is not read", "write it as .bvh, .c3d or .trc, which are read"),
    ),
    ".skeleton": (
        "a body of the Kinect, as NTU RGB+D has them",
        "save x, y, z, the first three numbers of each joint's line: " + _ARRAY,
    ),
    ".rrd": ("a recording of Rerun", "save the positions that were logged: " + _ARRAY),
    ".r3d": ("a recording of Record3D", "unpack it, it is a .zip, and save its poses: " + _ARRAY),
    ".mvnx": ("a recording of Xsens", "export it as .c3d or .bvh, which are read"),
    ".qtm": ("a capture of QTM", "export it as .tsv or .c3d, which are read"),
    ".tak": ("a take of Motive", "export it as .csv or .c3d, which are read"),
    ".vsk": ("a skeleton of Vicon", "export the trial as .c3d or .csv, which are read"),
    ".slp": ("a .slp that is no HDF5", "write it anew with SLEAP 1.1 or later"),
}  # fmt: skip

# What JSON has at its top or in its first entry -> (what it is, the nearest format and why it is not that, what to do)
_KEYS = (
    ({"images", "annotations"}, "COCO annotations of a data set", "coco results are the list of annotations alone",
     'import json; json.dump(json.load(open("{name}"))["annotations"], open("results.json", "w"))'),
    ({"version", "shapes"}, "labels of labelme", "no format of this project has them", "save positions: " + _ARRAY),
    ({"image_id", "bbox"}, "COCO results of boxes", 'coco results of keypoints have "keypoints" too',
     "run a model for poses"),
    ({"box", "class", "name"}, "Ultralytics boxes", 'ultralytics results of poses have "keypoints" with x and y too',
     "take a model whose name ends in -pose"),
    ({"people"}, "one frame of OpenPose", "openpose is a folder with one such file a frame", "give the folder"),
    ({"betas"}, "SMPL parameters", "smpl is an .npz with poses (frames, 3 x joints) and trans",
     'import numpy, json; numpy.savez("body.npz", poses=numpy.array(json.load(open("{name}"))["poses"]))'),
    ({"landmark"}, "MediaPipe landmarks of one frame", "mediapipe has pose_landmarks or the like in each frame",
     'write {{"pose_landmarks": LANDMARKS}} a frame, one a line, to a .jsonl'),
)  # fmt: skip


def refusal(path: Path) -> SmoothNetError:
    """The error for a file or folder that none of the formats takes."""
    try:
        looks, advice = _look(path)
    except SmoothNetError as error:  # such as JSON that is none
        return error
    text = f"{path} is in no known format: it looks like {looks}"
    return SmoothNetError(printable(f"{text}; {advice} (smooth --formats lists what is read)"))


def _look(path: Path) -> tuple[str, str]:
    if path.is_dir():
        return _folder(path)
    if not path.stat().st_size:
        return "an empty file", "give the file with the poses"
    if path.suffix.lower() in (".json", ".jsonl", ".ndjson"):
        return _json(path)
    if h5.is_h5(path):
        return _hdf5(path)
    found = _ENDINGS.get(path.suffix.lower())
    if found is not None:
        return found[0], found[1].replace("{name}", path.name)
    return _content(path)


def _content(path: Path) -> tuple[str, str]:
    """A file whose ending says nothing, by its beginning."""
    with path.open("rb") as file:
        start = file.read(4096)
    if start.startswith(b"PK\x03\x04") and not _holds_arrays(path):
        return "an archive", "unpack it and give the files or the folder in it"
    for suffix, beginning in (
        (".npy", b"\x93NUMPY"),
        (".npz", b"PK\x03\x04"),
        (".c3d", b"\x02\x50"),
        (".bvh", b"HIERARCHY"),
    ):
        if start.startswith(beginning):
            return f"the content of {suffix} below another name", f"name it {path.stem}{suffix}"
    try:
        text = start.decode("utf-8").strip()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        return "binary data of no kind that is known here", "save positions: " + _ARRAY
    if text[:1] in ("{", "["):
        return "JSON below another name", f"name it {path.stem}.json, or .jsonl with one frame a line"
    line = next((line for line in text.splitlines() if line.strip()), "")
    words = line.replace(",", " ").replace(";", " ").split()
    try:
        numbers = len([float(word) for word in words])
    except ValueError:
        return (
            f"text that begins with {line[:40]!r}",
            "name a table .csv if it has a row a frame, or save positions: " + _ARRAY,
        )
    comma = "," if "," in line else ";" if ";" in line else None
    split = f', delimiter="{comma}"' if comma else ""
    if len({len(line.replace(",", " ").replace(";", " ").split()) for line in _whole_lines(text)}) > 1:
        return "lines of different length", "save positions: " + _ARRAY
    return (
        f"a table of numbers, {numbers} a row",
        "csv is the nearest, which is told by its name; "
        + (
            f"name it {path.stem}.csv"
            if comma
            else _LINE.format(f'numpy.loadtxt("{path.name}"{split})') + " and say --dims 2 or 3"
        ),
    )


def _whole_lines(text: str) -> list[str]:
    """The lines of the beginning of a file but for the last, which may go on."""
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[:-1] or lines


def _holds_arrays(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith(".npy") for name in archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return False


def _json(path: Path) -> tuple[str, str]:
    if path.suffix.lower() != ".json":
        return (
            "JSON lines of another kind",
            'the nearest is jsonl, whose lines are {"keypoints": [[x, y], ...]}, one a frame',
        )
    value = read_document(path).value
    entry, here = value, "list" if isinstance(value, list) else "object"
    if isinstance(value, list):
        entry = next((item for item in value if item), None)
        entry = entry[0] if isinstance(entry, list) and entry and isinstance(entry[0], dict) else entry
    keys = list(entry) if isinstance(entry, dict) else []
    for needed, looks, nearest, advice in _KEYS:
        if needed <= set(keys):
            return looks, f"{nearest}; " + advice.replace("{name}", path.name).replace("{{", "{").replace("}}", "}")
    array = _array(value)
    if array is not None:
        place, shape = array
        if isinstance(value, dict) and len(value) > 1 and all(_array(item) == ("", shape) for item in value.values()):
            order = "sorted(d, key=int)" if all(key.isdigit() for key in value) else "d"  # "10" stands before "2"
            line = f'import json; d = json.load(open("{path.name}")); {_LINE.format(f"[d[k] for k in {order}]")}'
            looks = f"a JSON object of {len(value)} lists of numbers, each of shape {shape}"
            return looks, f"the nearest is npy, which is no JSON; if each is a frame: {line}"
        axes = " and --layout to say what its axes are" if len(shape) != 3 else ""
        line = f'import json; {_LINE.format(f"""json.load(open("{path.name}")){place}""")}'
        return f"JSON with numbers of shape {shape}", f"the nearest is npy, which is no JSON: {line}{axes}"
    known = f" with {', '.join(map(repr, keys[:5]))}" if keys else ""
    what = f"a JSON {here}{' of objects' if here == 'list' and keys else ''}{known}"
    return what, 'the nearest is jsonl: write {"keypoints": [[x, y], ...]} a frame, one a line, to a .jsonl'


def _array(value: Any, place: str = "", depth: int = 0) -> tuple[str, tuple[int, ...]] | None:
    """The first rectangle of numbers with two axes or more in JSON: how Python gets to it, and its shape."""
    shape: list[int] = []
    inner = value
    while isinstance(inner, list) and inner:
        shape.append(len(inner))
        inner = inner[0]
    if len(shape) >= 2 and isinstance(inner, int | float) and not isinstance(inner, bool):
        return place, tuple(shape)
    if isinstance(value, dict) and depth < 3:
        for key, item in list(value.items())[:50]:
            found = _array(item, f"{place}[{json.dumps(key)}]", depth + 1)
            if found is not None:
                return found
    return None


def _hdf5(path: Path) -> tuple[str, str]:
    shapes = {name: shape for name, shape in h5.members(path).items() if len(shape) >= 2}
    if not shapes:
        return "HDF5 without a table that is known", "save its array of positions: " + _ARRAY
    listed = ", ".join(f"{name} {shape}" for name, shape in list(shapes.items())[:5])
    line = _LINE.format(f'h5py.File("{path.name}")["{next(iter(shapes))}"][:]')
    return f"HDF5 with {listed}", f"DeepLabCut's, SLEAP's and movement's are read; import h5py; {line} and say --layout"


def _folder(path: Path) -> tuple[str, str]:
    endings = Counter(entry.suffix.lower() for entry in path.iterdir() if entry.is_file())
    if not endings:
        return "a folder without files", "give the folder in it that has a file a frame"
    most, count = endings.most_common(1)[0]
    looks = f"a folder of {count} {most or 'nameless'} files"
    if most == ".npy":
        return looks, "make one array of them: " + _LINE.format(
            f'numpy.stack([numpy.load(p) for p in sorted(__import__("pathlib").Path("{path.name}").glob("*.npy"))])'
        )
    if most == ".json":
        return looks, (
            "folders of OpenPose, MMPose, Sapiens, Ultralytics and MediaPipe are read, one file a frame; these have "
            "neither people, keypoints with keypoint_scores nor landmarks"
        )
    if most == ".txt":
        return looks, "the nearest is ultralytics, whose lines of save_txt have class, box and keypoints"
    return looks, "give its files one by one (smooth A B C -o OUT), or a folder with a file a frame"
