# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Frames that files leave out: by the numbers of their rows, or by their times."""

import json

import numpy as np
import pytest

from lib.formats import read_recording, write_recording
from lib.utils.errors import SmoothNetError

FRAMES = np.array([*range(8), *range(11, 20), *range(21, 30)])  # 8 to 10 and 20 are left out
OTHER = np.array([3, 170, 2])  # from the first joint to the second
GONE = [8, 9, 10, 20]
PATH = np.stack([FRAMES * 2.0, 100 + np.sin(FRAMES / 5) * 30, 300 + FRAMES * 0.5], axis=1)


def table(path, name, stamps):
    rows = [f"{name},hip_x,hip_y,hip_z,head_x,head_y,head_z"]
    rows += [",".join(f"{v:.4f}" for v in [t, *p, *(p + OTHER)]) for t, p in zip(stamps, PATH, strict=True)]
    path.write_text("\n".join(rows) + "\n")
    return path


def motion(path, name, stamps):
    head = ["walk", "version=1", "inDegrees=yes", "endheader", "time\tpelvis_tilt\tpelvis_tx\tpelvis_ty\tpelvis_tz"]
    rows = ["\t".join(f"{v:.6f}" for v in [t, p[0] / 9, *p]) for t, p in zip(stamps, PATH, strict=True)]
    path.write_text("\n".join(head + rows) + "\n")
    return path


def entries(path, name, stamps):
    frames = [{name: t, "keypoints": [p.tolist(), (p + OTHER).tolist()]} for t, p in zip(stamps, PATH, strict=True)]
    path.write_text(json.dumps(frames))
    return path


def long_table(path, name, stamps):
    rows = [f"{name},landmark,x,y,z"]
    rows += [f"{t},{k},{p[0]},{p[1] + 170 * k},{p[2]}" for t, p in zip(stamps, PATH, strict=True) for k in range(3)]
    path.write_text("\n".join(rows) + "\n")
    return path


def bare_table(path, name, stamps):
    rows = (",".join(f"{v:.4f}" for v in [t, *p, *(p + OTHER)]) for t, p in zip(stamps, PATH, strict=True))
    path.write_text("\n".join(rows) + "\n")
    return path


KINDS = {
    "table": (table, "a.csv"),
    "long_table": (long_table, "a.csv"),
    "motion": (motion, "a.mot"),
    "entries": (entries, "a.json"),
    "bare_table": (bare_table, "a.csv"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_times_that_leave_frames_out_leave_gaps(kind, tmp_path):
    make, name = KINDS[kind]
    path = make(tmp_path / name, "time", FRAMES / 30)
    recording = read_recording(path)
    assert recording.frame_count == 30 and "4 frames left out, by their times" in recording.understood
    for track in recording.tracks:
        assert np.isnan(track.points[GONE]).all() and np.isfinite(np.delete(track.points, GONE, axis=0)).all()
        assert not track.in_file[GONE].any()
    assert recording.fps is None or recording.fps == pytest.approx(30, abs=0.05)
    new = [track.points + 1 for track in recording.tracks]
    write_recording(recording, new, tmp_path / f"out{path.suffix}")
    again = read_recording(tmp_path / f"out{path.suffix}")
    for wanted, got in zip(new, again.tracks, strict=True):
        np.testing.assert_allclose(got.points, wanted, atol=1e-3)


def test_a_count_of_frames_without_a_name_keeps_its_gaps(tmp_path):
    recording = read_recording(bare_table(tmp_path / "a.csv", "", FRAMES))
    assert recording.frame_count == 30 and recording.tracks[0].points.shape == (30, 2, 3)
    assert np.isnan(recording.tracks[0].points[GONE]).all()


@pytest.mark.parametrize("kind", ["table", "motion", "entries", "long_table"])
def test_uneven_times_are_said(kind, tmp_path):
    make, name = KINDS[kind]
    stamps = np.cumsum(np.tile([0.01, 0.017, 0.031, 0.02], 7)[:26])
    recording = read_recording(make(tmp_path / name, "time", stamps))
    assert recording.frame_count == 26
    assert "steps of time from 0.01 to 0.031, smoothed as if all were the same" in recording.understood


@pytest.mark.parametrize("kind", ["table", "motion", "entries", "long_table"])
@pytest.mark.parametrize("off", [0.003, 0.0])
def test_times_of_a_camera_are_even_enough(kind, off, tmp_path):
    make, name = KINDS[kind]
    stamps = np.arange(26) / 30 + np.random.default_rng(0).uniform(-off, off, 26)
    recording = read_recording(make(tmp_path / name, "time", stamps))
    assert recording.frame_count == 26 and "time" not in recording.understood


def test_motions_one_below_the_other_are_refused(tmp_path):
    path = motion(tmp_path / "a.mot", "", np.concatenate([np.arange(13), np.arange(13)]) / 100)
    with pytest.raises(SmoothNetError, match=r"time goes back from 0\.12 to 0; give each motion a file"):
        read_recording(path)


def test_markers_whose_times_and_numbers_differ_are_doubted(tmp_path):
    head = ["PathFileType\t4\t(X/Y/Z)\ta.trc", "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits", "60\t60\t26\t1\tm"]
    head += ["Frame#\tTime\tHip\t\t", "\t\tX1\tY1\tZ1", ""]
    for stamps, words in (
        (FRAMES / 60, "times leave out 4 frames that Frame# counts through"),
        (np.arange(26) / 60, ""),
    ):
        rows = [
            "\t".join(f"{v:.6g}" for v in [i + 1, t, *p]) for i, (t, p) in enumerate(zip(stamps, PATH, strict=True))
        ]
        (tmp_path / "a.trc").write_text("\n".join(head + rows) + "\n")
        recording = read_recording(tmp_path / "a.trc")
        assert recording.frame_count == 26 and words in recording.understood and bool(words) == bool(recording.notes)


@pytest.mark.parametrize("layout", ["table", "fixed"])
@pytest.mark.parametrize("shuffled", [False, True])
def test_the_index_of_deeplabcut_h5_numbers_the_frames(layout, shuffled, tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("tables")
    columns = pandas.MultiIndex.from_product([["net"], ["nose", "tail"], ["x", "y", "likelihood"]])
    frame = pandas.DataFrame(np.hstack([PATH, PATH + 1]), columns=columns, index=FRAMES)
    frame = frame.sample(frac=1, random_state=0) if shuffled else frame
    frame.to_hdf(tmp_path / "a.h5", key="df_with_missing", format=layout, mode="w")
    recording = read_recording(tmp_path / "a.h5")
    (track,) = recording.tracks
    assert recording.frame_count == 30 and np.isnan(track.points[GONE]).all() and np.isnan(track.scores[GONE]).all()
    np.testing.assert_allclose(track.points[FRAMES, 0], PATH[:, :2])
    write_recording(recording, [track.points + 2], tmp_path / "out.h5")
    expected = frame.copy()
    expected.iloc[:, [0, 1, 3, 4]] += 2
    pandas.testing.assert_frame_equal(pandas.read_hdf(tmp_path / "out.h5"), expected)


def _labelled(folder, numbers, video="vid1"):
    """CollectedData of DeepLabCut: labels by hand of some pictures of a video, .csv, and .h5 where pandas is there."""
    rows = ["scorer,,,me,me,me,me", "bodyparts,,,nose,nose,tail,tail", "coords,,,x,y,x,y"]
    pictures = [("labeled-data", video, f"img{number:04d}.png") for number in numbers]
    values = np.hstack([PATH[: len(numbers), :2], PATH[: len(numbers), :2] + 40])
    rows += [",".join([*names, *map(str, row)]) for names, row in zip(pictures, values.tolist(), strict=True)]
    (folder / "CollectedData_me.csv").write_text("\n".join(rows) + "\n")
    paths = [folder / "CollectedData_me.csv"]
    try:
        import pandas
        import tables  # noqa: F401
    except ImportError:
        return paths
    columns = pandas.MultiIndex.from_product([["me"], ["nose", "tail"], ["x", "y"]])
    for name, index in (
        ("a.h5", pandas.MultiIndex.from_tuples(pictures)),
        ("b.h5", ["/".join(picture) for picture in pictures]),
    ):
        kind = "fixed" if name == "a.h5" else "table"
        pandas.DataFrame(values, index=index, columns=columns).to_hdf(folder / name, key="df", mode="w", format=kind)
        paths.append(folder / name)
    return paths


def test_labels_of_single_pictures_are_refused(tmp_path):
    for path in _labelled(tmp_path, np.arange(12) ** 3 * 17 + 5):
        with pytest.raises(
            SmoothNetError, match=r"labels of single pictures \(labeled-data/vid1/img0005.png, .* far apart"
        ):
            read_recording(path)


def test_labels_of_pictures_that_follow_one_another_are_frames(tmp_path):
    for path in _labelled(tmp_path, FRAMES + 100):
        recording = read_recording(path)
        assert recording.frame_count == 30 and np.isnan(recording.tracks[0].points[GONE]).all()


def test_frames_of_single_pictures_are_doubted(tmp_path):
    results = [
        {
            "image_id": int(t),
            "category_id": 1,
            "keypoints": [*p[:2].tolist(), 1, *(p[:2] + 9).tolist(), 1],
            "score": 0.9,
        }
        for t, p in zip(np.arange(26) ** 3 * 17, PATH, strict=True)
    ]
    (tmp_path / "a.json").write_text(json.dumps(results))
    words = "the numbers of 26 frames lie far apart (0 to 265625): taken one after the other"
    assert words in read_recording(tmp_path / "a.json").understood
    assert words in read_recording(entries(tmp_path / "b.json", "frame", (np.arange(26) ** 3 * 17).tolist())).understood
    assert words in read_recording(table(tmp_path / "c.csv", "frame", np.arange(26) ** 3 * 17)).understood
