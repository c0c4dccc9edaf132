# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""A corpus with several processes: whatever is killed or full, the next start gives what an undisturbed run gives."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT, write_checkpoint

from lib.corpus import FileSmoother, run_corpus
from lib.inference.options import SmoothingOptions

FILES = 24


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """(folder of inputs with one bad file, weights, what an undisturbed run in one process makes of them)."""
    folder = tmp_path_factory.mktemp("corpus")
    rng = np.random.default_rng(0)
    for i in range(FILES):
        path = folder / f"in/{i % 3}/{i}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, rng.normal(size=(60 + i, 5, 3)).cumsum(axis=0).astype(np.float32))
    (folder / "in/0/bad.npy").write_bytes(b"hello")
    weights = write_checkpoint(folder / "w.pth.tar")
    options = SmoothingOptions(checkpoint=str(weights))
    run_corpus([folder / "in"], folder / "out", options, jobs=0, report=False)
    return folder / "in", weights, contents(folder / "out")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def start(source: Path, weights: Path, out: Path, *more: object) -> subprocess.Popen:
    words = [source, "-o", out, "--checkpoint", weights, *more]
    return subprocess.Popen(
        [sys.executable, ROOT / "corpus_smoothnet.py", *map(str, words)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, "OMP_NUM_THREADS": "2"},
    )  # fmt: skip


def done_so_far(out: Path) -> int:
    try:
        with sqlite3.connect(f"file:{out}.corpus/manifest.sqlite?mode=ro", uri=True) as db:
            return db.execute("SELECT count(*) FROM files WHERE state = 'done'").fetchone()[0]
    except sqlite3.Error:
        return 0


def wait_for(condition, seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.01)


def children(pid: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            rest = path.read_text().rpartition(")")[2]
            command = (path.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if int(rest.split()[1]) == pid and b"spawn_main" in command:
            found.append(int(path.parent.name))
    return found


def test_killed_driver_then_killed_worker_then_the_bytes_of_an_undisturbed_run(corpus, tmp_path):
    source, weights, expected = corpus
    out = tmp_path / "out"
    driver = start(source, weights, out, "--jobs", 2)
    wait_for(lambda: done_so_far(out) >= 1 or driver.poll() is not None)
    workers = children(driver.pid)
    driver.kill()
    driver.wait()
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), 30)  # none outlives it
    assert not set(contents(out)) - set(expected) - {name for name in contents(out) if name.startswith(".smoothnet/")}
    driver = start(source, weights, out, "--jobs", 2)
    wait_for(lambda: children(driver.pid) or driver.poll() is not None)
    for worker in children(driver.pid)[:1]:
        os.kill(worker, signal.SIGKILL)
    text = driver.communicate()[0]
    if driver.returncode == 2 and "a worker died as it started" in text:  # hit before it had a file
        driver = start(source, weights, out, "--jobs", 2)
        text = driver.communicate()[0]
    assert driver.returncode == 3, text  # for the bad file
    assert f"{FILES} done, 1 failed, 0 not reached" in text and "Traceback" not in text
    assert contents(out) == expected


def test_a_worker_that_dies_of_a_file_leaves_the_rest_alone(corpus, tmp_path, monkeypatch):
    """The memory of a worker ends where a file needs more: stood in for by one whose reading ends the process."""
    source, weights, expected = corpus
    (tmp_path / "plugin").mkdir()
    (tmp_path / "plugin/sitecustomize.py").write_text(
        "import os, sys\n"
        "def end(event, arguments):\n"
        "    if event == 'open' and str(arguments[0]).endswith('/1/7.npy'):\n"
        "        os._exit(9)\n"
        "if 'spawn_main' in ' '.join(sys.orig_argv): sys.addaudithook(end)\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}/plugin:{os.environ.get('PYTHONPATH', '')}")
    driver = start(source, weights, tmp_path / "out", "--jobs", 2)
    text = driver.communicate()[0]
    assert driver.returncode == 3 and f"{FILES - 1} done, 2 failed, 0 not reached" in text, text
    assert contents(tmp_path / "out") == {name: value for name, value in expected.items() if name != "1/7.npy"}
    with sqlite3.connect(f"{tmp_path}/out.corpus/manifest.sqlite") as db:
        ((error,),) = db.execute("SELECT error FROM files WHERE name = '1/7.npy'")
    assert "1/7.npy: the worker died of it 2 times" in error


@contextmanager
def small_disk(place, size):
    """A file system of so many bytes in the folder `place`."""
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=False)


def test_a_full_disk_ends_the_run_with_one_sentence_and_the_next_goes_on(corpus, tmp_path):
    source, weights, expected = corpus
    with small_disk(tmp_path / "disk", "60k") as disk:
        arguments = (source, weights, disk / "out", "--jobs", 1, "--manifest", tmp_path / "m.sqlite")
        driver = start(*arguments)
        text = driver.communicate()[0]
        assert driver.returncode == 2, text
        assert "cannot write" in text and "free space" in text and "Traceback" not in text
        assert 0 < len(contents(disk / "out")) < FILES
        subprocess.run(["mount", "-o", "remount,size=10m", disk], check=True)
        driver = start(*arguments)
        text = driver.communicate()[0]
        assert driver.returncode == 3 and f"{FILES} done, 1 failed" in text, text
        assert contents(disk / "out") == expected


def test_a_full_disk_under_the_manifest(corpus, tmp_path):
    source, weights, _ = corpus
    with small_disk(tmp_path / "disk", "40k") as disk:
        driver = start(source, weights, tmp_path / "out", "--jobs", 0, "--manifest", disk / "m.sqlite")
        text = driver.communicate()[0]
        assert driver.returncode == 2 and "manifest" in text and "Traceback" not in text, text


# ---------------------------------------------------------------- Ray


def test_ray_with_two_workers_gives_the_same_bytes(corpus, tmp_path):
    pytest.importorskip("ray", reason="Ray is not installed: pip install ray (there is none for every Python)")
    source, weights, expected = corpus
    driver = start(source, weights, tmp_path / "out", "--engine", "ray", "--jobs", 2)
    text = driver.communicate()[0]
    assert driver.returncode == 3 and f"{FILES} done, 1 failed, 0 not reached" in text, text
    assert contents(tmp_path / "out") == expected


def test_a_cluster_that_is_there_and_map_batches(corpus, tmp_path):
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install ray (there is none for every Python)")
    source, weights, expected = corpus
    environment = {"env_vars": {"PYTHONPATH": str(ROOT)}}
    context = ray.init(
        address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, runtime_env=environment
    )
    try:
        driver = start(
            source, weights, tmp_path / "out", "--engine", "ray", "--address", context.address_info["gcs_address"]
        )
        text = driver.communicate()[0]
        assert driver.returncode == 3 and f"{FILES} done, 1 failed, 0 not reached" in text, text
        assert contents(tmp_path / "out") == expected
        data = pytest.importorskip("ray.data")
        paths = sorted(str(path) for path in source.rglob("*.npy"))
        smoother = FileSmoother(tmp_path / "mapped", source, checkpoint=str(weights))
        found = data.from_items([{"path": path} for path in paths]).map_batches(smoother.batch, batch_size=8)
        assert sorted(row["state"] for row in found.take_all()) == ["done"] * FILES + ["failed"]
        assert contents(tmp_path / "mapped") == expected
    finally:
        ray.shutdown()


# ---------------------------------------------------------------- a store of objects


def test_a_store_that_speaks_s3(corpus, tmp_path, monkeypatch, free_port):
    reason = "moto and s3fs stand in for S3: pip install 'moto[server]' s3fs"
    moto = pytest.importorskip("moto.server", reason=reason)
    s3fs = pytest.importorskip("s3fs", reason=reason)
    source, weights, expected = corpus
    for name, value in {
        "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port}", "FSSPEC_S3_ENDPOINT_URL": f"http://127.0.0.1:{free_port}",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=free_port, verbose=False)
    server.start()
    try:
        store = s3fs.S3FileSystem(endpoint_url=os.environ["AWS_ENDPOINT_URL"], skip_instance_cache=True)
        store.mkdir("bucket")
        store.put(f"{source}/", "bucket/poses/", recursive=True)
        arguments = ("s3://bucket/poses", weights, "s3://bucket/out", "--manifest", tmp_path / "m.sqlite", "--jobs", 2)
        driver = start(*arguments)
        text = driver.communicate()[0]
        assert driver.returncode == 3 and f"{FILES} done, 1 failed, 0 not reached" in text, text
        store.invalidate_cache()
        found = {name.removeprefix("bucket/out/"): store.cat(name) for name in store.find("bucket/out")}
        assert found == expected
        driver = start(*arguments)
        text = driver.communicate()[0]
        assert driver.returncode == 3 and text.startswith("nothing to do"), text
    finally:
        server.stop()
