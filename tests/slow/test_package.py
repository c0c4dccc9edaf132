# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The wheel: the same library and scripts under the name smoothnet, with the default weights."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile

import numpy as np
import pytest
from helpers import ROOT

import lib

BUILT_FROM = ("lib", "pyproject.toml", "MANIFEST.in", "requirements.txt", "README.md", "LICENSE", "NOTICE")


def python(*arguments, cwd, **environment):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def copy_sources(to):
    to.mkdir()
    for path in (ROOT / name for name in BUILT_FROM):
        if path.is_dir():
            shutil.copytree(path, to / path.name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, to)
    return to


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """(wheel file, folder it was installed to), built from a copy so that nothing is left in the checkout."""
    pytest.importorskip("setuptools")
    folder = tmp_path_factory.mktemp("package")
    source = copy_sources(folder / "source")
    pip = ("-m", "pip", "--disable-pip-version-check", "--quiet")
    build = (*pip, "wheel", source, "--no-deps", "--no-build-isolation", "--wheel-dir", folder)
    done = python(*build, cwd=folder)
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    target = folder / "target"
    done = python(*pip, "install", "--no-deps", "--no-index", "--target", target, wheel, cwd=folder)
    assert done.returncode == 0, done.stderr
    return wheel, target


def smoothnet(installed, *arguments, cwd):
    """Run the command as the console script does, without the checkout in reach."""
    start = "import sys; from smoothnet.commands import main; sys.exit(main())"
    return python("-c", start, *arguments, cwd=cwd, PYTHONPATH=str(installed[1]))


def test_the_wheel_does_not_ask_for_torch(installed):
    with zipfile.ZipFile(installed[0]) as wheel:
        (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        lines = wheel.read(name).decode().splitlines()
    needed = [line for line in lines if line.startswith("Requires-Dist:")]
    base = {line.split()[1].partition(">")[0] for line in needed if "extra" not in line}
    assert base == {"numpy", "scipy", "tqdm", "yacs"}
    extras = {line.rpartition("== ")[2].strip('"') for line in needed if line.split()[1].startswith("torch>")}
    assert extras == {"train", "smpl"}


def test_every_room_and_every_file_of_the_library_is_in_the_wheel(installed):
    files = [path for path in (ROOT / "lib").rglob("*") if path.is_file() and path.suffix != ".pyc"]
    with zipfile.ZipFile(installed[0]) as wheel:
        shipped = {name for name in wheel.namelist() if name.startswith("smoothnet/")}
    assert shipped == {f"smoothnet/{path.relative_to(ROOT / 'lib').as_posix()}" for path in files}


def test_what_the_metadata_say(installed):
    with zipfile.ZipFile(installed[0]) as wheel:
        (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        text = wheel.read(name).decode()
        licences = {name.rpartition("/")[2] for name in wheel.namelist() if "/licenses/" in name}
    for line in (f"Version: {lib.__version__}", "License-Expression: BSD-3-Clause", "Requires-Python: >=3.10"):
        assert f"\n{line}\n" in text
    assert "\nAuthor: " in text and "\nProject-URL: Paper, " in text and (ROOT / "README.md").read_text() in text
    assert licences == {"LICENSE", "NOTICE"}


def test_the_source_archive_builds_the_same_wheel(installed, tmp_path):
    pytest.importorskip("build")
    done = python(
        "-m", "build", "--no-isolation", "--outdir", tmp_path, copy_sources(tmp_path / "source"), cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")  # made of what is in the archive alone
    with zipfile.ZipFile(wheel) as one, zipfile.ZipFile(installed[0]) as other:
        assert sorted((info.filename, info.CRC) for info in one.infolist() if "RECORD" not in info.filename) == sorted(
            (info.filename, info.CRC) for info in other.infolist() if "RECORD" not in info.filename
        )
    with tarfile.open(next(tmp_path.glob("*.tar.gz"))) as archive:
        assert not [name for name in archive.getnames() if "/tests/" in name]  # half of a suite would help nobody


def test_an_editable_install_gives_the_command_and_the_code_of_the_checkout(tmp_path):
    source = copy_sources(tmp_path / "source")
    venv.create(tmp_path / "venv", with_pip=False)
    inside = tmp_path / "venv" / "bin"
    packages = {"PYTHONPATH": sysconfig.get_path("purelib")}  # setuptools, and what the library needs
    words = ("install", "--no-deps", "--no-index", "--no-build-isolation", "--editable", source)
    done = python("-m", "pip", "--quiet", "--python", inside / "python", *words, cwd=tmp_path, **packages)
    assert done.returncode == 0, done.stderr

    def command(*words):
        return subprocess.run(
            [inside / "smoothnet", *words], cwd=tmp_path, env={**os.environ, **packages}, capture_output=True, text=True
        )

    assert command("--version").stdout == f"smoothnet {lib.__version__}\n"
    path = source / "lib/__init__.py"
    path.write_text(path.read_text().replace(lib.__version__, "9.9.9"))
    assert command("smooth", "--version").stdout == "smoothnet 9.9.9\n"
    done = command("visualize", "--help")
    assert done.returncode == 0 and "smoothnet visualize --input" in done.stdout and "_smoothnet.py" not in done.stdout


def test_the_wheel_claims_no_name_but_smoothnet(installed):
    with zipfile.ZipFile(installed[0]) as wheel:
        assert {name.split("/")[0].split("-")[0] for name in wheel.namelist()} == {"smoothnet"}


def test_every_command_is_there_and_named_right(installed, tmp_path):
    done = smoothnet(installed, "--help", cwd=tmp_path)
    assert done.returncode == 0
    for path in ROOT.glob("*_smoothnet.py"):
        command = path.stem.removesuffix("_smoothnet")
        assert f"  {command} " in done.stdout
        done_command = smoothnet(installed, command, "--help", cwd=tmp_path)
        assert done_command.returncode == 0, done_command.stderr
        assert f"usage: smoothnet {command}" in done_command.stdout


def test_an_unknown_command_is_a_mistake_of_the_user(installed, tmp_path):
    done = smoothnet(installed, "smoothe", cwd=tmp_path)
    assert done.returncode == 2
    assert "unknown command 'smoothe'" in done.stderr


def test_smooth_works_from_another_folder_with_the_default_weights(installed, tmp_path):
    points = np.random.default_rng(0).normal(size=(40, 5, 3)).astype(np.float32)
    np.save(tmp_path / "in.npy", points)
    done = smoothnet(installed, "smooth", "in.npy", "-o", "out.npy", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    smoothed = np.load(tmp_path / "out.npy")
    assert smoothed.shape == points.shape and not np.array_equal(smoothed, points)


def test_the_page_for_the_browser_needs_no_torch(installed, tmp_path):
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')")
    done = smoothnet(installed, "page", "-o", "page.html", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "page.html").read_bytes() == (ROOT / "docs/try/index.html").read_bytes()


def test_the_library_is_the_same_under_its_own_name(installed, tmp_path):
    points = np.random.default_rng(1).normal(size=(40, 5, 3))
    np.save(tmp_path / "in.npy", points)
    code = (
        "import numpy, smoothnet; from smoothnet.inference import Smoother; "
        "numpy.save('out.npy', Smoother.from_checkpoint()(numpy.load('in.npy'))); print(smoothnet.__file__)"
    )
    done = python("-c", code, cwd=tmp_path, PYTHONPATH=str(installed[1]))
    assert done.returncode == 0, done.stderr
    assert str(installed[1]) in done.stdout
    from lib.inference import Smoother

    (weights,) = (installed[1] / "smoothnet/weights/general").glob("*.safetensors")
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), Smoother.from_checkpoint(weights)(points))


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The command of an environment that holds the package, what it asks for, and nothing else."""
    folder = tmp_path_factory.mktemp("alone")
    venv.create(folder / "venv", with_pip=True)
    inside = folder / "venv" / "bin"
    words = ("install", "--quiet", "--disable-pip-version-check", copy_sources(folder / "source"))
    done = subprocess.run([inside / "python", "-m", "pip", *words], cwd=folder, capture_output=True, text=True)
    if "connection" in done.stderr.lower() or "could not find a version" in done.stderr.lower():
        pytest.skip("no package index in reach")
    assert done.returncode == 0, done.stderr

    def run(*words, **options):
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "OMP_"))}
        environment |= {"PATH": f"{inside}:{os.environ['PATH']}"}
        return subprocess.run(
            list(map(str, words)), cwd=folder, env=environment, capture_output=True, text=True, **options
        )

    run.folder = folder
    return run


def test_pip_install_is_enough_to_smooth(alone):
    """Files, streams, formats, pictures and the library, with numpy, scipy and tqdm alone."""
    installed = {line.split("==")[0].lower() for line in alone("pip", "freeze").stdout.splitlines() if "==" in line}
    assert installed | {"smoothnet"} == {"smoothnet", "numpy", "scipy", "tqdm", "yacs", "pyyaml"}
    sample = ROOT / "data/samples/sports2d_blazepose.npz"  # 230 frames
    for words in (
        ("smoothnet", "--version"),
        ("python", "-m", "smoothnet", "smooth", "--formats"),
        ("smoothnet", "smooth", sample, "-o", "out.npz"),
        ("smoothnet", "smooth", sample, "-o", "rts.npz", "--method", "rts"),
        ("smoothnet", "smooth", sample, "-o", "kinect.npz", "--checkpoint", "uiprmd_kinect_3D", "--delay", "7"),
        ("smoothnet", "visualize", "--input", sample, "--format", "html", "-o", "pictures"),
    ):
        done = alone(*words)
        assert done.returncode == 0, done.stderr
    assert (alone.folder / "pictures/sports2d_blazepose.html").exists()
    lines = "".join(json.dumps({"keypoints": [[t, 0.5 * t], [1, 2]]}) + "\n" for t in range(40))
    done = alone("smoothnet", "smooth", "-", "--stream", input=lines)
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 40, done.stderr
    code = "import smoothnet; r = smoothnet.read('out.npz'); print(len(smoothnet.smooth(r)), smoothnet.__file__)"
    done = alone("python", "-c", code)
    assert done.returncode == 0 and done.stdout.startswith("2 "), done.stderr
    assert str(alone.folder / "venv") in done.stdout


def test_what_needs_more_says_what_to_install(alone):
    for words, extra in (
        (("train",), "smoothnet[train]"),
        (("eval", "--checkpoint", "general"), "smoothnet[train]"),
        (("visualize", "--input", ROOT / "data/samples/pose2sim_balancing.trc", "--format", "png"), "smoothnet[video]"),
        (("smooth", ROOT / "data/samples/pose2sim_balancing.trc", "-o", "x.trc", "--device", "cuda"), "install torch"),
    ):
        done = alone("smoothnet", *words)
        assert done.returncode == 2 and extra in done.stderr, done.stderr
        assert len(done.stderr.splitlines()) == 1, done.stderr


def test_a_file_takes_less_than_a_second_from_start_to_end(alone):
    """Of the processor's time, all threads together."""
    sample = ROOT / "data/samples/sports2d_blazepose.npz"
    code = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); "
        "used = resource.getrusage(resource.RUSAGE_CHILDREN); print(used.ru_utime + used.ru_stime)"
    )
    seconds = [
        float(alone("python", "-c", code, "smoothnet", "smooth", sample, "-o", "t.npz", "--force").stdout)
        for _ in range(3)
    ]
    assert min(seconds) < 1, seconds
