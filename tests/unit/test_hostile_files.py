# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Files made to hang, to fill memory, to reach other files or to end in a traceback: one sentence each, at once."""

import json
import time
import tracemalloc
import zipfile

import numpy as np
import pytest
from helpers import write_poses

from lib.dataset.poses import load_poses
from lib.formats import read_recording, write_recording
from lib.formats.plain_csv import column_role
from lib.utils.errors import SmoothNetError


def walk(frames=12, joints=3):
    return np.cumsum(np.ones((frames, joints, 2)), axis=0) + np.arange(joints)[:, None] * 10


# ----------------------------------------------------------------------------------------------------------- time


@pytest.mark.parametrize(
    "name", ["_" * 30_000, "a" + " " * 30_000 + "q", "x" + "-" * 30_000, "a_(" * 10_000, "1" * 30_000, "x_" * 15_000]
)
def test_long_names_of_columns_take_no_time(name, tmp_path):
    (tmp_path / "a.csv").write_text(f"{name},p_x,p_y\n" + "".join(f"1,{t}.5,2\n" for t in range(20)))
    start = time.perf_counter()
    assert read_recording(tmp_path / "a.csv").tracks[0].points.shape == (20, 1, 2)
    assert time.perf_counter() - start < 1


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("nose_x", ("nose", "x")), ("noseX", ("nose", "x")), ("x3", ("3", "x")), ("Left hip.z", ("Left hip", "z")),
        ("nose_conf", ("nose", "score")), ("x", ("", "x")), ("nose_x (px)", ("nose", "x")), ("x_nose", ("nose", "x")),
        ("Hip [mm]", None), ("speed", None), ("left_x_1", None), ("score.12", ("12", "score")), ("a-b:y", ("a-b", "y")),
        ("p1", ("1", "score")), ("", None), ("_x", None),
    ],
)  # fmt: skip
def test_roles_of_columns(name, role):
    assert column_role(name) == role


# --------------------------------------------------------------------------------------------------------- memory


def test_members_that_are_not_needed_stay_unread(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as file:
        for name, array in (("keypoints", walk()), ("mask", np.zeros((30, 2**20), bool))):
            with file.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, array)
    tracemalloc.start()
    recording = read_recording(tmp_path / "a.npz")
    write_recording(recording, [track.points + 1 for track in recording.tracks], tmp_path / "b.npz")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 * 2**20
    assert np.load(tmp_path / "b.npz")["mask"].shape == (30, 2**20)


def test_many_members_together_are_a_bomb(tmp_path):
    """Each of eight unpacks to 256 MiB, below the limit of one; headers that claim it are enough to be refused."""
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as file:
        for number in range(8):
            file.writestr(f"keypoints{number}.npy", b"\x93NUMPY" + bytes(10_000))
            file.filelist[-1].file_size = 2**28
    with pytest.raises(SmoothNetError, match=r"a\.npz was refused: it would unpack .* in all"):
        read_recording(tmp_path / "a.npz")
    write_poses(tmp_path, phases=("test",))
    (tmp_path / "a.npz").replace(tmp_path / "toy_est_3D" / "groundtruth" / "toy_gt_3D_test.npz")
    with pytest.raises(SmoothNetError, match=r"toy_gt_3D_test\.npz was refused"):
        load_poses(tmp_path, "toy", "est", "3D", "test")


def data_frame(file, **options):
    """The "fixed" layout of pandas with the two columns of one point."""
    group = file.create_group("df")
    group.attrs["pandas_type"] = np.bytes_(b"frame")
    group.attrs["nblocks"] = 1
    group.attrs["block0_items_nlevels"] = 3
    for level, names in enumerate((["net"], ["nose"], ["x", "y"])):
        group[f"block0_items_level{level}"] = [name.encode() for name in names]
        group[f"block0_items_label{level}"] = list(range(len(names))) * (2 // len(names))
    return group.create_dataset("block0_values", **options)


def test_an_h5_that_asks_for_gigabytes(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        data_frame(file, shape=(2 * 10**8, 2), dtype="f8", chunks=(1000, 2), compression="gzip")
    assert (tmp_path / "a.h5").stat().st_size < 20_000
    with pytest.raises(SmoothNetError, match=r"a\.h5 was refused: its \d+ bytes would unpack to 3200000000"):
        read_recording(tmp_path / "a.h5")


def test_an_h5_that_is_a_bomb(tmp_path):
    """Its numbers are there, packed to a thousandth."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        data_frame(file, data=np.zeros((5 * 10**6, 2)), chunks=(10**5, 2), compression="gzip")
    assert (tmp_path / "a.h5").stat().st_size < 300_000
    tracemalloc.start()
    with pytest.raises(SmoothNetError, match=r"a\.h5 was refused: its \d+ bytes would unpack to 80000000"):
        read_recording(tmp_path / "a.h5")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 * 2**20


def test_an_h5_that_lies_in_other_files(tmp_path):
    h5py = pytest.importorskip("h5py")
    precious = walk().tobytes()
    (tmp_path / "precious.bin").write_bytes(precious)
    external = [(str(tmp_path / "precious.bin"), 0, 160)]
    with h5py.File(tmp_path / "external.h5", "w") as file:
        data_frame(file, shape=(10, 2), dtype="f8", external=external)
    with h5py.File(tmp_path / "source.h5", "w") as file:
        data_frame(file, data=walk()[:10, 0])
    with h5py.File(tmp_path / "virtual.h5", "w") as file:
        layout = h5py.VirtualLayout(shape=(10, 2), dtype="f8")
        layout[:] = h5py.VirtualSource(tmp_path / "source.h5", "df/block0_values", shape=(10, 2))
        data_frame(file, shape=(1, 2), dtype="f8")
        del file["df/block0_values"]
        file["df"].create_virtual_dataset("block0_values", layout)
    with h5py.File(tmp_path / "link.h5", "w") as file:
        file["df"] = h5py.ExternalLink(str(tmp_path / "source.h5"), "df")
    assert read_recording(tmp_path / "source.h5").tracks[0].points.shape == (10, 1, 2)
    for name in ("external", "virtual", "link"):
        with pytest.raises(SmoothNetError, match=rf"{name}\.h5 was refused: .* other file|in another file"):
            read_recording(tmp_path / f"{name}.h5")
    assert (tmp_path / "precious.bin").read_bytes() == precious


def test_an_h5_that_changes_between_reading_and_writing(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        data_frame(file, data=walk()[:10, 0])
    recording = read_recording(tmp_path / "a.h5")
    (tmp_path / "precious.bin").write_bytes(bytes(160))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        data_frame(file, shape=(10, 2), dtype="f8", external=[(str(tmp_path / "precious.bin"), 0, 160)])
    with pytest.raises(SmoothNetError, match="was refused"):
        write_recording(recording, [recording.tracks[0].points + 1], tmp_path / "b.h5")
    assert (tmp_path / "precious.bin").read_bytes() == bytes(160)


# ------------------------------------------------------------------------------------------------------- tracebacks


def test_members_that_are_no_arrays(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as file:
        for name in ("keypoints.npy", "again.npy"):
            with file.open(name, "w") as member:
                np.lib.format.write_array(member, walk())
        file.writestr("notes.npy", b"no array at all")
        file.writestr("readme.txt", b"nor this")
    recording = read_recording(tmp_path / "a.npz")
    write_recording(recording, [track.points + 1 for track in recording.tracks], tmp_path / "b.npz")
    with zipfile.ZipFile(tmp_path / "b.npz") as file:
        assert file.read("notes.npy") == b"no array at all" and file.read("readme.txt") == b"nor this"
    with zipfile.ZipFile(tmp_path / "c.npz", "w") as file:
        file.writestr("keypoints.npy", b"no array at all")
    with pytest.raises(SmoothNetError, match=r"c\.npz holds no array"):
        read_recording(tmp_path / "c.npz")


def test_a_damaged_member_that_is_only_copied(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as file:
        with file.open("keypoints.npy", "w") as member:
            np.lib.format.write_array(member, walk())
        file.writestr("notes.txt", b"some notes that get damaged")
    content = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(content.replace(b"some notes", b"SOME NOTES"))
    recording = read_recording(tmp_path / "a.npz")
    with pytest.raises(SmoothNetError, match=r"a\.npz is not a readable NumPy file"):
        write_recording(recording, [track.points + 1 for track in recording.tracks], tmp_path / "b.npz")
    assert not (tmp_path / "b.npz").exists()


def test_deeplabcut_with_z_for_one_part_alone(tmp_path):
    lines = ["scorer" + ",net" * 5, "bodyparts,nose,nose,tail,tail,tail", "coords,x,y,x,y,z"]
    lines += [f"{t},{t}.5,1.5,{t}.25,2.5,3.5" for t in range(9)]
    (tmp_path / "a.csv").write_text("\n".join(lines))
    recording = read_recording(tmp_path / "a.csv")
    assert [(t.part, t.points.shape) for t in recording.tracks] == [("2D", (9, 1, 2)), ("3D", (9, 1, 3))]
    write_recording(recording, [track.points + 1 for track in recording.tracks], tmp_path / "b.csv")
    assert (tmp_path / "b.csv").read_text().splitlines()[3] == "0,1.5,2.5,1.25,3.5,4.5"


@pytest.mark.parametrize("fps", [1e300, 1e-300])
def test_frame_rates_that_are_none(fps, tmp_path):
    np.savez(tmp_path / "a.npz", keypoints=walk(), fps=fps)
    recording = read_recording(tmp_path / "a.npz")
    assert recording.fps is None and f"{fps:g} frames a second are ignored" in recording.understood


def test_frame_rates_of_a_trc(tmp_path):
    head = "PathFileType\t4\nDataRate\n{}\nFrame#\tTime\tA\t\t\n\tX1\tY1\tZ1\n"
    for rate in ("1e300", "inf", "nan", "-5", "0"):
        (tmp_path / "a.trc").write_text(head.format(rate) + "".join(f"{t}\t0\t1\t2\t{t}.5\n" for t in range(5)))
        assert read_recording(tmp_path / "a.trc").fps is None


def test_names_that_are_no_utf8(tmp_path):
    rows = b"".join(b"%d.5,1.5\n" % t for t in range(9))
    (tmp_path / "a.csv").write_bytes(b"caf\xe9_x,caf\xe9_y\n" + rows)
    recording = read_recording(tmp_path / "a.csv")
    assert recording.names == ("caf?",)
    recording.understood.encode()
    write_recording(recording, [recording.tracks[0].points + 1], tmp_path / "b.csv")
    assert (tmp_path / "b.csv").read_bytes().startswith(b"caf\xe9_x,caf\xe9_y\n")
    frames = [{"frame_id": t, "instances": [{"keypoints": [[t, 2]], "track_id": "\ud800"}]} for t in range(4)]
    meta = {"keypoint_id2name": {"0": "no\udfffse"}}
    (tmp_path / "a.json").write_text(json.dumps({"meta_info": meta, "instance_info": frames}))
    recording = read_recording(tmp_path / "a.json")
    assert (recording.names, recording.tracks[0].id) == (("no?se",), "?")
    (tmp_path / "c.csv").write_bytes(b"caf\xe9_x,caf\xe9_y\n1,oops\xff\n2,3\n4,5\n")
    with pytest.raises(SmoothNetError, match=r"c\.csv, line 2") as error:
        read_recording(tmp_path / "c.csv")
    str(error.value).encode()


@pytest.mark.parametrize("kind", [{"a": 1}, {"a", "b"}, frozenset("ab")])
def test_image_names_without_an_order(kind, tmp_path):
    folder = tmp_path / "toy_est_3D" / "groundtruth"
    write_poses(tmp_path, phases=("test",))
    sequences = np.empty(2, object)
    sequences[:] = [kind, ["1.jpg"]]
    np.savez(folder / "toy_gt_3D_test.npz", imgname=sequences, joints_3d=np.zeros((2, 1, 9)))
    with pytest.raises(SmoothNetError, match=r"imgname in .*toy_gt_3D_test\.npz .*(holds a|asks for)"):
        load_poses(tmp_path, "toy", "est", "3D", "test")
