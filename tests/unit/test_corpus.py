# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""A corpus in one process: what counts as input, what the manifest remembers, what is never lost or replaced."""

from __future__ import annotations

import io
import json
import os
import pickle
import re
import shutil
import sqlite3
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import tool_samples
from helpers import ROOT

from lib.corpus import FileSmoother, inputs, run_corpus
from lib.corpus import work as work_module
from lib.corpus.inputs import find_inputs
from lib.corpus.manifest import open_manifest
from lib.corpus.report import BINS, histogram
from lib.inference.files import smooth_files
from lib.inference.methods import Smoothing
from lib.inference.options import SmoothingOptions
from lib.utils.errors import SmoothNetError

GAUSSIAN = SmoothingOptions(method="gaussian", fps=30.0)  # loads nothing


def walk(seed: int = 0, frames: int = 40, joints: int = 4) -> np.ndarray:
    rng = np.random.default_rng(seed)
    t = np.arange(frames)[:, None, None] / 30
    smooth = np.sin(t * rng.uniform(1, 4, (joints, 3)) + rng.uniform(0, 6, (joints, 3)))
    return (smooth + rng.normal(size=(frames, joints, 3)) * 0.02).astype(np.float32)


def make(folder: Path, *names: str) -> Path:
    for seed, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        np.save(folder / name, walk(seed))
    return folder


def run(inputs, out, options=GAUSSIAN, **more):
    inputs = inputs if isinstance(inputs, list) else [inputs]
    return run_corpus(inputs, out, options, **({"jobs": 0, "report": False} | more))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def rows(out: Path, what: str = "name, state, error") -> list[tuple]:
    with sqlite3.connect(f"{out}.corpus/manifest.sqlite") as db:
        return db.execute(f"SELECT {what} FROM files ORDER BY name").fetchall()


def named(inputs, out="/nowhere") -> list[tuple[str, str]]:
    return [(item.name, item.kind) for item in find_inputs([str(i) for i in inputs], str(out))]


# ---------------------------------------------------------------- inputs


def test_a_folder_becomes_a_tree_of_the_same_names_and_each_file_what_smooth_makes_of_it(tmp_path):
    source = make(tmp_path / "in", "a.npy", "deep/er/b.npy")
    (source / "notes.md").write_text("not poses")
    done = run(source, tmp_path / "out")
    assert done.complete and done.done == 2
    assert sorted(contents(tmp_path / "out")) == ["a.npy", "deep/er/b.npy"]
    for name in ("a.npy", "deep/er/b.npy"):
        smooth_files([source / name], tmp_path / "one.npy", Smoothing(GAUSSIAN), force=True)
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "one.npy").read_bytes()


def test_what_counts_as_an_input(tmp_path):
    source = make(tmp_path / "in", "a.npy", "b/c.npy", "b/.hidden.npy", ".git/d.npy")
    (source / "b/clip").mkdir()
    for t in range(3):
        people = [{"pose_keypoints_2d": [1.0 + t, 2, 0.5, 3, 4.5 + t * t, 0.5]}]
        (source / f"b/clip/x_{t:012}_keypoints.json").write_text(json.dumps({"people": people}))
    assert named([source]) == [("a.npy", "file"), ("b/c.npy", "file"), ("b/clip", "frames")]
    assert named([source / "b/clip"]) == [("clip", "frames")]
    assert named([source / "a.npy"]) == [("a.npy", "file")]
    assert named([f"{source}/**/*.npy"]) == [("a.npy", "file"), ("b/c.npy", "file")]
    assert named([f"file://{source}"]) == named([source])
    listing = tmp_path / "list.txt"
    listing.write_text(f"# mine\n\n{source}/a.npy\n{source}/gone.npy\n")
    below = str(source).lstrip("/")
    assert named([listing]) == [(f"{below}/a.npy", "file"), (f"{below}/gone.npy", "file")]


def test_a_folder_is_searched_for_all_that_is_read(tmp_path):
    """Tables of .tsv and lines of .ndjson were passed over, and the run was complete without them."""
    files = {path for make in tool_samples.SAMPLES if (path := make(tmp_path / make.__name__)).is_file()}
    assert {path.suffix for path in files} - inputs.POSES <= {".txt"}  # which is a list of files here
    assert {".ndjson", ".tsv"} <= inputs.POSES


def test_an_output_within_the_input_is_no_input(tmp_path):
    source = make(tmp_path / "in", "a.npy")
    assert run(source, source / "out").done == 1
    assert named([source], source / "out") == [("a.npy", "file")]


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        (["{}/none"], "none does not exist"),
        (["{}/empty"], "empty has no file of poses"),
        (["{}/in", "{}/empty"], "empty has no file of poses"),
        (["{}/in", "{}/other"], "would become one output"),
        (["{}/out"], "out is an input"),
        (["gopher://x/y"], "gopher"),
        ([], "at least one input"),
    ],
)
def test_what_cannot_be_a_corpus_is_one_sentence(tmp_path, inputs, words):
    make(tmp_path / "in", "a.npy")
    make(tmp_path / "other", "a.npy")
    (tmp_path / "empty").mkdir()
    (tmp_path / "out").mkdir()
    with pytest.raises(SmoothNetError, match=words):
        run([text.format(tmp_path) for text in inputs], tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_names_that_are_not_utf_8(tmp_path):
    source = make(tmp_path / "in", os.fsdecode(b"\xff\xe9.npy"))
    assert run(source, tmp_path / "out", report=True).done == 1
    assert os.listdir(os.fsencode(tmp_path / "out")) == [b"\xff\xe9.npy"]
    assert run(source, tmp_path / "out").progress.skipped == 1


def test_other_file_systems_by_url(tmp_path):
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    source = make(tmp_path / "in", "a.npy", "deep/b.npy")
    for name in ("a.npy", "deep/b.npy"):
        memory.put(str(source / name), f"/corpus/{name}")
    memory.pipe("/corpus/bad.npy", b"hello")
    run(source, tmp_path / "here")
    manifest = tmp_path / "m.sqlite"
    with pytest.raises(SmoothNetError, match="--manifest"):
        run("memory://corpus", "memory://smoothed")
    done = run("memory://corpus", "memory://smoothed", manifest=manifest)
    assert (done.done, done.failed) == (2, 1)
    assert memory.cat("/smoothed/deep/b.npy") == (tmp_path / "here/deep/b.npy").read_bytes()
    with sqlite3.connect(manifest) as db:
        ((error,),) = db.execute("SELECT error FROM files WHERE state = 'failed'")
    assert error.startswith("memory:///corpus/bad.npy is not a readable NumPy file")
    assert run("memory://corpus", "memory://smoothed", manifest=manifest).progress.skipped == 3
    memory.rm("/smoothed/a.npy")
    assert run("memory://corpus", "memory://smoothed", manifest=manifest).progress.done == 1
    assert run("memory://corpus/**/*.npy", tmp_path / "glob").done == 2
    memory.pipe("/corpus/list.txt", b"a.npy\ndeep/b.npy\n")
    assert run("memory://corpus/list.txt", tmp_path / "listed").done == 2
    assert sorted(contents(tmp_path / "listed")) == ["a.npy", "deep/b.npy"]


# ---------------------------------------------------------------- shards


def test_a_tar_of_samples_keeps_all_but_the_poses(tmp_path):
    def add(tar, name, content):
        member = tarfile.TarInfo(name)
        member.size, member.mtime, member.mode = len(content), 12345, 0o600
        tar.addfile(member, io.BytesIO(content))

    def npy(array):
        file = io.BytesIO()
        np.save(file, array)
        return file.getvalue()

    (tmp_path / "in").mkdir()
    with tarfile.open(tmp_path / "in/0001.tar", "w") as tar:
        add(tar, "walk.pose.npy", npy(walk(1)))
        add(tar, "walk.json", b'{"label": "walk"}')
        add(tar, "walk.jpg", b"\xff\xd8")
        add(tar, "bad.npy", b"hello")
    done = run(tmp_path / "in", tmp_path / "out")
    assert done.done == 1 and done.bad == 1 and not done.complete
    np.save(tmp_path / "alone.npy", walk(1))
    smooth_files([tmp_path / "alone.npy"], tmp_path / "smooth.npy", Smoothing(GAUSSIAN))
    with tarfile.open(tmp_path / "out/0001.tar") as tar:
        found = {m.name: (m.mtime, m.mode, tar.extractfile(m).read()) for m in tar}
    assert list(found) == ["walk.pose.npy", "walk.json", "walk.jpg", "bad.npy"]
    assert found["walk.pose.npy"] == (12345, 0o600, (tmp_path / "smooth.npy").read_bytes())
    assert found["walk.json"][2] == b'{"label": "walk"}' and found["bad.npy"][2] == b"hello"
    ((error, sequences, bad, frames),) = rows(tmp_path / "out", "error, sequences, bad, frames")
    assert (sequences, bad, frames) == (2, 1, 40) and error.startswith("1 of 2 sequences are as they were: member bad")


def test_a_parquet_file_with_a_sequence_a_row(tmp_path):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    kind = pa.list_(pa.list_(pa.list_(pa.float32(), 3)))
    ragged = [[[1.0, 2, 3]], [[1.0, 2, 3], [4, 5, 6]]]
    gap = walk(2)
    gap[5, 1] = np.nan
    holes = [[[None if np.isnan(v) else v for v in p] for p in frame] for frame in gap.tolist()]
    table = pa.table(
        {
            "id": pa.array(["a", "b", "c", "d"]),
            "keypoints": pa.array([walk(1).tolist(), ragged, holes, None], kind),
            "fps": pa.array([30.0, 30.0, 30.0, 30.0]),
        }
    )
    (tmp_path / "in").mkdir()
    pq.write_table(table, tmp_path / "in/shard.parquet", row_group_size=3, compression="zstd")
    done = run(tmp_path / "in", tmp_path / "out", SmoothingOptions(method="gaussian"))
    assert done.done == 1 and done.bad == 1, rows(tmp_path / "out")
    out = pq.read_table(tmp_path / "out/shard.parquet")
    assert out.schema == table.schema and out.column("id").equals(table.column("id"))
    assert (
        out.column("keypoints")[1:2].equals(table.column("keypoints")[1:2]) and not out.column("keypoints")[3].is_valid
    )
    for row, points in ((0, walk(1)), (2, gap)):
        np.save(tmp_path / "alone.npy", points)
        smooth_files([tmp_path / "alone.npy"], tmp_path / "smooth.npy", Smoothing(GAUSSIAN), force=True)
        got = np.array(out.column("keypoints")[row].as_py(), dtype=np.float32)
        np.testing.assert_array_equal(got, np.load(tmp_path / "smooth.npy"))
    assert pq.ParquetFile(tmp_path / "out/shard.parquet").metadata.row_group(0).column(0).compression == "ZSTD"
    ((error, frames),) = rows(tmp_path / "out", "error, frames")
    assert error.endswith("row 1: keypoints has frames of unequal size") and frames == 80
    listing = pa.table({"path": [str(tmp_path / "alone.npy")]})
    pq.write_table(listing, tmp_path / "list.parquet")
    assert run(tmp_path / "list.parquet", tmp_path / "listed").done == 1


# ---------------------------------------------------------------- the manifest


def test_what_is_done_is_not_done_again_and_what_has_changed_is(tmp_path, monkeypatch):
    source, out = make(tmp_path / "in", "a.npy", "b.npy", "c.npy"), tmp_path / "out"
    seen = []
    real = work_module.smooth_item
    monkeypatch.setattr(work_module, "smooth_item", lambda n, item, job: seen.append(item.name) or real(n, item, job))

    def again(**more):
        seen.clear()
        run(source, out, **more)
        return sorted(seen)

    assert again() == ["a.npy", "b.npy", "c.npy"]
    assert again() == []
    np.save(source / "b.npy", walk(7))
    assert again() == ["b.npy"]
    (out / "a.npy").unlink()
    with open(out / "c.npy", "ab") as file:
        file.write(b"more")
    assert again() == ["a.npy", "c.npy"]
    np.save(source / "d.npy", walk(8))
    assert again() == ["d.npy"]
    assert again(options=SmoothingOptions(method="gaussian", fps=30.0, strength=2.0)) == [
        "a.npy", "b.npy", "c.npy", "d.npy",
    ]  # fmt: skip


def test_the_row_says_what_became_of_a_file(tmp_path):
    source = make(tmp_path / "in", "a.npy")
    run(source, tmp_path / "out")
    what = "sha256, frames, people, jitter_before > 5 * jitter_after, moved > 0.01, out_size, out_sha256, seconds > 0"
    ((sha, frames, people, calmer, moved, size, out_sha, timed),) = rows(tmp_path / "out", what)
    from hashlib import sha256

    written = (tmp_path / "out/a.npy").read_bytes()
    assert sha == sha256((source / "a.npy").read_bytes()).hexdigest()
    assert (size, out_sha) == (len(written), sha256(written).hexdigest())
    assert (frames, people, calmer, moved, timed) == (40, 1, 1, 1, 1)


def test_bad_files_stop_nothing_and_are_tried_again_when_asked_to(tmp_path):
    source, out = make(tmp_path / "in", "a.npy", "c.npy"), tmp_path / "out"
    (source / "b.npy").write_bytes(b"hello")
    done = run(source, out)
    assert (done.done, done.failed, done.complete) == (2, 1, False)
    assert rows(out)[1][:2] == ("b.npy", "failed") and "b.npy is not a readable NumPy file" in rows(out)[1][2]
    assert run(source, out).progress.files == 0
    again = run(source, out, retry=True)
    assert (again.progress.files, again.failed) == (1, 1)
    np.save(source / "b.npy", walk(1))  # mended: it has changed, so nobody has to ask
    assert run(source, out).complete
    assert [state for _, state, _ in rows(out)] == ["done"] * 3


def test_a_mistake_of_ours_is_a_failed_file_too(tmp_path, monkeypatch):
    source = make(tmp_path / "in", "a.npy", "b.npy")

    def broken(*_):
        raise ZeroDivisionError("oh")

    monkeypatch.setitem(work_module.SMOOTH, "file", broken)
    assert run(source, tmp_path / "out").failed == 2
    assert rows(tmp_path / "out")[0][2].endswith("a.npy: unexpected ZeroDivisionError: oh")


def test_an_input_that_cannot_be_reached_is_tried_again_by_itself(tmp_path):
    source, out = make(tmp_path / "in", "a.npy", "b.npy"), tmp_path / "out"
    listing = tmp_path / "list.txt"
    listing.write_text(f"{source}/a.npy\n{source}/b.npy\n")
    (source / "b.npy").rename(tmp_path / "b.npy")
    done = run(listing, out)
    assert (done.done, done.failed, done.todo) == (1, 0, 1)
    (tmp_path / "b.npy").rename(source / "b.npy")
    assert run(listing, out).complete


def test_a_mount_that_goes_ends_the_run_and_the_next_one_goes_on(tmp_path, monkeypatch):
    source, out = make(tmp_path / "in", *(f"{i}.npy" for i in range(8))), tmp_path / "out"
    monkeypatch.setattr("lib.corpus.run.UNREACHABLE", 3)
    monkeypatch.setattr("lib.corpus.run.BATCH_FILES", 1)
    real = work_module.smooth_item

    def vanishing(number, item, job):
        if item.name == "2.npy":
            source.rename(tmp_path / "away")
        return real(number, item, job)

    monkeypatch.setattr(work_module, "smooth_item", vanishing)
    with pytest.raises(SmoothNetError, match="3 inputs in a row cannot be read"):
        run(source, out)
    with pytest.raises(SmoothNetError, match="does not exist"):
        run(source, out)
    monkeypatch.setattr(work_module, "smooth_item", real)
    (tmp_path / "away").rename(source)
    done = run(source, out)
    assert done.complete and done.progress.skipped == 2


def test_an_output_folder_that_goes_ends_the_run_and_is_not_filled_from_scratch(tmp_path, monkeypatch):
    source, out = make(tmp_path / "in", *(f"{i}.npy" for i in range(6))), tmp_path / "out"
    monkeypatch.setattr("lib.corpus.run.BATCH_FILES", 1)
    real = work_module.smooth_item

    def vanishing(number, item, job):
        if item.name == "3.npy":
            out.rename(tmp_path / "away")
            out.mkdir()
        return real(number, item, job)

    monkeypatch.setattr(work_module, "smooth_item", vanishing)
    with pytest.raises(SmoothNetError, match="cannot write"):
        run(source, out)
    assert not list(out.iterdir())
    monkeypatch.setattr(work_module, "smooth_item", real)
    with pytest.raises(SmoothNetError, match="is it mounted"):
        run(source, out)
    shutil.rmtree(out)
    (tmp_path / "away").rename(out)
    assert run(source, out).progress.skipped == 2  # the third was written down, and not yet in place
    run(source, tmp_path / "undisturbed")
    assert contents(out) == contents(tmp_path / "undisturbed")


def test_nothing_of_others_is_replaced(tmp_path):
    source, out = make(tmp_path / "in", "a.npy", "b.npy"), tmp_path / "out"
    out.mkdir()
    (out / "a.npy").write_text("mine")
    done = run(source, out)
    assert (done.done, done.failed) == (1, 1) and (out / "a.npy").read_text() == "mine"
    assert "exists and is not of this manifest" in rows(out)[0][2]
    assert run(source, out, retry=True, force=True).complete
    os.unlink(out / "b.npy")
    os.link(source / "b.npy", out / "b.npy")
    np.save(source / "b.npy", walk(9))
    before = (source / "b.npy").read_bytes()
    assert run(source, out, force=True).failed == 1
    assert (source / "b.npy").read_bytes() == before


def test_a_folder_of_frames_is_replaced_whole(tmp_path):
    clip, out = tmp_path / "in/clip", tmp_path / "out"
    clip.mkdir(parents=True)

    def write(count):
        for t in range(count):
            people = [{"pose_keypoints_2d": [1.0 + t, 2, 0.5, 3, 4.5 + t * t % 7, 0.5]}]
            (clip / f"x_{t:012}_keypoints.json").write_text(json.dumps({"people": people}))

    write(12)
    assert run(tmp_path / "in", out).done == 1
    assert len(contents(out)) == 12
    assert run(tmp_path / "in", out).progress.files == 0
    write(9)
    (clip / f"x_{11:012}_keypoints.json").unlink()
    assert run(tmp_path / "in", out).done == 1
    assert len(contents(out)) == 11 and not (out / ".smoothnet").exists()
    (clip / f"x_{10:012}_keypoints.json").rename(clip / f"x_{11:012}_keypoints.json")
    assert run(tmp_path / "in", out).done == 1
    assert sorted(contents(out)) == sorted(contents(tmp_path / "in"))


def test_two_runs_at_once_and_files_that_are_no_manifest(tmp_path):
    source = make(tmp_path / "in", "a.npy")
    held = open_manifest(tmp_path / "m.sqlite")
    with pytest.raises(SmoothNetError, match="another run has the manifest"):
        run(source, tmp_path / "out", manifest=tmp_path / "m.sqlite")
    held.close()
    (tmp_path / "text").write_text("hello " * 1000)
    with pytest.raises(SmoothNetError, match="cannot be used as the manifest"):
        run(source, tmp_path / "out", manifest=tmp_path / "text")
    with sqlite3.connect(tmp_path / "other") as db:
        db.execute("CREATE TABLE x (y)")
    with pytest.raises(SmoothNetError, match="another program"):
        run(source, tmp_path / "out", manifest=tmp_path / "other")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"checkpoint": "nowhere/none.pth.tar"}, "none.pth.tar does not exist"),
        ({"method": "gaussian", "window": 8}, "--window does not go with --method gaussian"),
    ],
)
def test_options_that_cannot_be_are_said_before_any_file_is_read(tmp_path, options, words):
    source = make(tmp_path / "in", "a.npy")
    with pytest.raises(SmoothNetError, match=words):
        run(source, tmp_path / "out", SmoothingOptions(**options))
    assert not (tmp_path / "out/a.npy").exists()


# ---------------------------------------------------------------- the report


def test_the_report_counts_what_is_in_the_manifest(tmp_path):
    source = make(tmp_path / "in", "a.npy", "b.npy", "<b>&.npy")
    (source / "bad.npy").write_bytes(b"hello")
    done = run(source, tmp_path / "out", report=True)
    facts = json.loads((tmp_path / "out.corpus/report.json").read_text())
    totals = facts["totals"]
    assert (totals["files"], totals["done"], totals["failed"], totals["frames"]) == (4, 3, 1, 120)
    assert totals["hours_of_motion"] == pytest.approx(120 / 30 / 3600)
    for name in ("jitter_before", "jitter_after", "displacement"):
        assert sum(facts["histograms"][name]) == 3
    mean = [np.average(BINS[:-1], weights=facts["histograms"][f"jitter_{when}"]) for when in ("before", "after")]
    assert mean[0] > 3 * mean[1]
    assert [row[0] for row in facts["failed"]] == ["bad.npy"]
    changes = [row[1] for row in facts["most_changed"]]
    assert changes == sorted(changes, reverse=True) and len(changes) == 3
    text = done.report.read_text()
    assert "&lt;b&gt;&amp;.npy" in text and "<b>&" not in text and "http" not in text.replace("http-equiv", "")
    players = re.findall(r'href="(players/[^"]+)"', text)
    assert len(players) == 3
    for player in players:
        assert '"frames": 40' in (done.report.parent / player).read_text()


def test_the_report_tells_settings_of_zero(tmp_path):
    source = make(tmp_path / "in", "a.npy")
    done = run(source, tmp_path / "out", SmoothingOptions(method="gaussian", fps=30.0, delay=0), report=True)
    assert "delay 0" in done.report.read_text() and "step" not in done.report.read_text()


def test_a_histogram_takes_any_number():
    values = [0.0, 1e-9, 1.5e-6, 0.5, 1e9, None, np.float64(2.0)]
    counts = histogram(v for v in values)
    assert sum(counts) == 6 and counts[0] == 2 and counts[-1] == 1
    assert sum(histogram(iter([0.5] * 25_000))) == 25_000


# ---------------------------------------------------------------- for other engines


def test_the_plain_callable_gives_what_the_command_gives(tmp_path):
    source = make(tmp_path / "in", "a.npy", "deep/b.npy")
    (source / "bad.npy").write_bytes(b"hello")
    run(source, tmp_path / "out")
    smoother = pickle.loads(pickle.dumps(FileSmoother(tmp_path / "mapped", source, method="gaussian", fps=30.0)))
    paths = [str(source / name) for name in ("a.npy", "deep/b.npy", "bad.npy", "none.npy")]
    found = [smoother(path) for path in paths]
    assert [row["state"] for row in found] == ["done", "done", "failed", "todo"]
    assert found[1]["output"] == str(tmp_path / "mapped/deep/b.npy") and found[1]["frames"] == 40
    assert contents(tmp_path / "mapped") == contents(tmp_path / "out")
    columns = smoother.batch({"path": np.array(paths)})
    assert list(columns["state"]) == ["done", "done", "failed", "todo"] and columns["frames"][0] == 40
    inplace = FileSmoother(source, source, method="gaussian", fps=30.0)
    assert inplace(paths[0])["error"].endswith("a.npy is the input; name another output")


def test_the_plain_callable_takes_one_file_at_a_time(tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a.npy", "b.npy"):
        np.save(tmp_path / "in" / name, np.zeros((4, 3, 2)))
    smoother = FileSmoother(tmp_path / "out", method="gaussian", fps=30.0)
    row = smoother(tmp_path / "in")
    assert row["state"] == "todo" and row["error"].endswith("in means several files; give the path of each of them")
    with pytest.raises(SmoothNetError, match="the file to smooth must be the name of a file or folder, not 5"):
        smoother(5)


def test_the_plain_callable_replaces_no_folder_that_holds_other_things(tmp_path):
    """It removed whatever folder had the name of its output."""
    frames = tmp_path / "in/clip"
    frames.mkdir(parents=True)
    for t in range(12):
        person = {"pose_keypoints_2d": [n for k in range(5) for n in (100 + 9 * k + t, 50 + 7 * k, 0.9)]}
        (frames / f"a_{t:012}_keypoints.json").write_text(json.dumps({"people": [person]}))
    smoother = FileSmoother(tmp_path / "out", method="gaussian", fps=30.0)
    for _ in range(2):  # its own output may be replaced
        assert smoother(frames)["state"] == "done"
    (tmp_path / "out/clip/notes.txt").write_text("mine")
    row = smoother(frames)
    assert row["state"] == "failed" and row["error"].endswith("clip holds notes.txt; it will not be replaced")
    assert (tmp_path / "out/clip/notes.txt").read_text() == "mine" and len(
        list((tmp_path / "out/clip").iterdir())
    ) == 13


def test_the_code_of_the_page_runs(tmp_path, monkeypatch):
    """All but the lines of other engines, with one worker."""
    page = (ROOT / "docs/corpus.md").read_text()
    (code,) = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    ours = "".join(line for line in code.splitlines(True) if not line.startswith(("dask", "spark", "ray")))
    assert len(ours.splitlines()) == len(code.splitlines()) - 3
    ours = ours.replace("poses/a/walk.npz", "poses/a/walk.npy").replace("jobs=8", "jobs=0")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    for name in ("", ".corpus", ".inference", ".inference.options"):
        monkeypatch.setitem(sys.modules, f"smoothnet{name}", sys.modules[f"lib{name}"])
    make(tmp_path / "poses", "a/walk.npy")
    names: dict = {}
    exec(compile(ours, "docs/corpus.md", "exec"), names)
    first = (tmp_path / "smoothed/a/walk.npy").read_bytes()
    assert names["smoother"]("poses/a/walk.npy")["state"] == "done"
    assert (tmp_path / "smoothed/a/walk.npy").read_bytes() == first


def test_a_damaged_manifest_is_one_sentence(tmp_path):
    source = make(tmp_path / "in", *(f"{i:03}.npy" for i in range(3)))
    run(source, tmp_path / "out")
    book = tmp_path / "out.corpus/manifest.sqlite"
    content = bytearray(book.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)  # what it is stays readable, its tables do not
    book.write_bytes(content)
    with pytest.raises(SmoothNetError, match=r"manifest\.sqlite.*(damaged|cannot be used)"):
        run(source, tmp_path / "out")


def test_damage_anywhere_in_a_manifest_is_found_before_anything_is_done(tmp_path):
    source = make(tmp_path / "in", *(f"{i:03}.npy" for i in range(3)))
    run(source, tmp_path / "out")
    book = tmp_path / "out.corpus/manifest.sqlite"
    content = book.read_bytes()
    for page in range(4096, len(content), 4096):
        book.write_bytes(content[: page + 3] + b"\xff\xff" + content[page + 5 :])  # how many rows are in that page
        with pytest.raises(SmoothNetError, match=r"manifest\.sqlite cannot be used.*(damaged|malformed)"):
            run(source, tmp_path / "out")


def test_a_manifest_that_is_a_folder_is_refused_and_nothing_written(tmp_path):
    source = make(tmp_path / "in", "a.npy")
    (tmp_path / "books").mkdir()
    with pytest.raises(SmoothNetError, match=r"books is a folder; name a file"):
        run(source, tmp_path / "out", manifest=tmp_path / "books")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["books", "in"]


def test_a_pipe_among_the_inputs_fails_alone(tmp_path):
    make(tmp_path / "in", "a.npy")
    os.mkfifo(tmp_path / "pipe.npy")
    done = run([tmp_path / "in", tmp_path / "pipe.npy"], tmp_path / "out")
    assert (done.done, done.failed) == (1, 1)
    assert "pipe.npy is a device, pipe or socket" in {n: e for n, _, e in rows(tmp_path / "out")}["pipe.npy"]


@pytest.mark.parametrize("wrong", [{"layout": "3"}, {"input_format": "fbx"}])
def test_a_word_on_all_files_that_is_none_is_one_sentence(tmp_path, wrong):
    source = make(tmp_path / "in", "a.npy")
    with pytest.raises(SmoothNetError, match=r"--layout|fbx"):
        run(source, tmp_path / "out", SmoothingOptions(method="gaussian", fps=30.0, **wrong))


def test_an_output_without_a_name_is_refused_and_nothing_written(tmp_path, monkeypatch):
    source = make(tmp_path / "in", "a.npy")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(SmoothNetError, match=r"the output has no name"):
        run(source, "")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.npy", "here", "in"]


def test_an_output_that_is_a_file_is_refused_before_anything_is_written(tmp_path):
    source = make(tmp_path / "in", "a.npy")
    with pytest.raises(SmoothNetError, match=r"a\.npy is no folder"):
        run(source, source / "a.npy")
    assert [path.name for path in source.iterdir()] == ["a.npy"]


def test_an_output_among_the_inputs_does_not_take_their_files_for_its_own(tmp_path):
    source = make(tmp_path / "in", "a.npy", "sub/b.npy")
    with pytest.raises(SmoothNetError, match=r"sub lies in an input and holds b\.npy.*name another output"):
        run(source, source / "sub", force=True)
    assert sorted(path.name for path in source.rglob("*")) == ["a.npy", "b.npy", "sub"]
    for _ in range(2):  # an output of its own may lie there, and is none of the inputs the next time
        assert run(source, source / "out").done == 2


def test_a_manifest_that_is_no_file_is_one_sentence(tmp_path):
    os.mkfifo(tmp_path / "book.sqlite")
    (tmp_path / "folder.sqlite").mkdir()
    source = make(tmp_path / "in", "a.npy")
    for name in ("folder.sqlite", "book.sqlite"):
        with pytest.raises(SmoothNetError, match=name):
            run(source, tmp_path / "out", manifest=tmp_path / name)
