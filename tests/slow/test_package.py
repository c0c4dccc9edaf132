"""The wheel: the same library and scripts under the name smoothnet, with the default weights."""

import os
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from helpers import ROOT

BUILT_FROM = ("lib", "pyproject.toml", "requirements.txt", "README.md", "LICENSE", "NOTICE")


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


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """(wheel file, folder it was installed to), built from a copy so that nothing is left in the checkout."""
    pytest.importorskip("setuptools")
    folder = tmp_path_factory.mktemp("package")
    source = folder / "source"
    source.mkdir()
    for path in (ROOT / name for name in BUILT_FROM):
        if path.is_dir():
            shutil.copytree(path, source / path.name, ignore=shutil.ignore_patterns("__pycache__"))
        elif path.exists():
            shutil.copy(path, source)
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
    assert any("numpy" in line and "extra" not in line for line in needed)
    assert [line for line in needed if "torch" in line.split()[1]] == ['Requires-Dist: torch>=2.4; extra == "torch"']


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

    weights = installed[1] / "smoothnet/weights/uiprmd_kinect_3D/checkpoint_32.pth.tar"
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), Smoother.from_checkpoint(weights)(points))


def test_without_torch_the_error_says_what_to_install(installed, tmp_path):
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')")
    np.save(tmp_path / "in.npy", np.zeros((40, 5, 3)))
    for command in (("smooth", "in.npy", "-o", "out.npy"), ("eval", "--checkpoint", "x")):
        done = smoothnet(installed, *command, cwd=tmp_path)
        assert done.returncode == 2
        assert "pip install torch" in done.stderr and "Traceback" not in done.stderr
