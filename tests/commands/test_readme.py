# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The READMEs and the pages of docs are true: commands run, links lead somewhere, both languages say the same.

Every line of code in a page, and every command within its text, is run here on small data, or stands below with the
reason why not. A new one that is neither makes the test fail. The commands of a page share one folder.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import logging
import os
import re
import runpy
import shlex
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tool_samples
from helpers import ROOT, read_json, write_poses
from smpl_samples import SAMPLES as SMPL_SAMPLES
from unit.test_formats import ONE_OF_EACH
from unit.test_uiprmd import write_clip

from lib import commands
from lib.commands.arguments import run_main
from run_scripts import run_smoothnet
from run_scripts.argument import launched

ENGLISH, CHINESE = "README.md", "README.zh-CN.md"
PAGES = sorted(
    str(path.relative_to(ROOT))
    for pattern in ("README*.md", "*/README*.md", "data/*/README.md", "lib/weights/*/README.md", "docs/**/*.md")
    for path in ROOT.glob(pattern)
    if not path.relative_to(ROOT).parts[0].startswith((".", "build"))
)
# a page in Chinese -> the same in English
TRANSLATIONS = {CHINESE: ENGLISH} | {name: name.replace(".zh.md", ".md") for name in PAGES if name.endswith(".zh.md")}
ORIGINALS = [name for name in PAGES if name not in TRANSLATIONS]

# lines of code that are no commands
NO_COMMAND = (
    r"data/poses/\{dataset\}",  # where the files lie
    r"TCAPPDLL ",  # a line of a log
    r'\{"(keypoints|people)": ',  # a line of a stream
)
# commands that are not run here, and why
NOT_RUN = {
    r"make (demo|test)": "they install PyTorch, and CI itself is `make test`; what make would do is looked at below",
    r"make docs": "tests/slow/test_site.py builds the site",
    r"pip install [\w .-]+": "needs the network; the names are compared with pyproject.toml, test_package.py installs",
    r"(DOCKER_BUILDKIT=0 .*)?docker ": "needs a Docker engine; the steps of the Dockerfile are those of a script",
    r"conda (activate|env list)": "the vendor's image has it; docker.sh goes through what the image does with it",
    r"cd ": "says where the next command is given",
    r"bash tests/slow/docker\.sh": "builds two images, some ten minutes; tests/slow/test_image.py runs it if asked to",
    r"python benchmarks/(run|accuracy|figures)\.py": "takes minutes; CI runs the first two with --quick",
    r"python data/from_corpus\.py": "pairs of files of the user's own; tests/unit/test_from_corpus.py runs it",
    r"bash run_scripts/test\.sh": "two trainings of 100 steps; loss.py, which it ends with, is run",
}
# pages whose Python is tried elsewhere, with what it is about
TRIED_BY = {
    "docs/api.md": "tests/unit/test_api.py",
    "docs/corpus.md": "tests/unit/test_corpus.py",
    "docs/formats.md": "tests/unit/test_formats_of_tools.py",
    "docs/hooks.md": "tests/slow/test_examples.py",
}
# pages with commands in blocks of ```text, and why those are not run
TEXT = {
    "docs/smoothing.md": "the user's own recordings; test_jobs.py smooths several at once",
    "docs/smoothing.zh.md": "the user's own recordings; test_jobs.py smooths several at once",
    "docs/api.md": "needs the network; a benchmark of minutes",
    "docs/browser.md": "test_page_command.py writes such pages, test_browser.py smooths in node",
    "docs/corpus.md": "a synopsis and files of others; test_corpus.py and test_corpus_engines.py run the command",
    "docs/convert.md": "test_convert_command.py runs the like on the samples; benchmarks of half a minute",
    "docs/formats.md": "a synopsis, which test_formats_of_tools.py follows with a file of each tool",
    "docs/formats-smpl.md": "files of systems that are not at hand; test_smpl_tools.py smooths some like them",
    "lib/weights/uiprmd_kinect_3D/README.md": "smooths 391 sequences fifteen times",
    "lib/weights/general/README.md": "trains for twenty minutes on files that are not part of the repository",
}
# what a command needs besides PyTorch
NEEDS = {
    r"export_smoothnet": ("onnx", "onnxruntime"),
    r"--format (mp4|gif)": ("imageio_ffmpeg",),
    r"\.(h5|slp)": ("h5py",),
    r"wham_output|demo_video": ("joblib",),
}
# what stands for something, and what a test puts there; {n} is the number of the command
PLACEHOLDERS = {
    r"INPUT \[INPUT \.\.\.\] -o OUT": "{trc} {npz} -o out{n}",
    r"INPUT -o OUT": "{trc} -o out{n}.trc",
    r"--checkpoint PATH": "--checkpoint {weights}",
    r"8\|32\|64": "64",
    r"--fps F": "--fps 30",
    r"--min_score S": "--min_score 0.3",
    r"--max_gap N": "--max_gap 5",
    r"--delay D": "--delay 4",
    r"results/(<run>|RUN|path_to)": "{run}",
    r"epoch_\d+\.pth": "epoch_1.pth",  # each run below is of one epoch
    r"prepare_uiprmd\.py FOLDER": "prepare_uiprmd.py raw --output data/prepared",
    r"ARGUMENTS": "--device cpu --cfg configs/h36m_fcn_3D.yaml",
    r"--sdaa-log A --cuda-log B": "--sdaa-log {run}/dllogger_rank0.log --cuda-log {run}/dllogger_rank0.log",
    r"align\.py --device sdaa( --step \d+)?": "align.py --device cpu --step 2",
    r"--device (sdaa|cuda)": "--device cpu",
    r"--nproc_per_node 4 --nnode 2": "--nproc_per_node 1 --nnode 2",
    r"--nproc_per_node 4": "--nproc_per_node 2 --master_port {port}",
    r"10\.0\.0\.1": "127.0.0.1",
    r"29500": "{port}",
    r"--folder /tmp": "--folder . --frames 600 --sequences 3 --steps 1 --streamed 50",
    r"configs/general\.yaml$": "configs/general.yaml --opts GENERAL.WINDOWS 200",
    r"--size 1040x586": "--size 320x240",
}
SAMPLES = {
    "trc": "data/samples/pose2sim_balancing.trc",
    "npz": "data/samples/sports2d_blazepose.npz",
    "weights": "lib/weights/uiprmd_kinect_3D/checkpoint_32.safetensors",
}
# what the pages call their files -> what writes a small one into a folder
EXAMPLES = {
    "openpose_json": ONE_OF_EACH["openpose"][0],
    "predictions.json": ONE_OF_EACH["mmpose"][0],
    "alphapose-results.json": ONE_OF_EACH["alphapose"][0],
    "keypoint_results.json": ONE_OF_EACH["coco"][0],
    "videoDLC.h5": ONE_OF_EACH["deeplabcut_h5"][0],
    "videoDLC.csv": ONE_OF_EACH["deeplabcut"][0],
    "markers.trc": ONE_OF_EACH["trc"][0],
    "smpl.npz": ONE_OF_EACH["smpl"][0],
    "points.csv": ONE_OF_EACH["csv"][0],
    "joints.npy": ONE_OF_EACH["npy"][0],
    "yolo.json": tool_samples.ultralytics_list,
    "labels": tool_samples.ultralytics_labels,
    "mediapipe.json": tool_samples.mediapipe_pose,
    "animals.slp": tool_samples.sleap_labels,
    "walk.c3d": tool_samples.c3d_floats,
    "wham_output.pkl": SMPL_SAMPLES["wham"],
    "hmr4d_results.pt": SMPL_SAMPLES["gvhmr"],
    "hps_track_0.npy": SMPL_SAMPLES["tram"],
    "demo_video.pkl": SMPL_SAMPLES["phalp"],
}
SEVERAL = re.compile(r"--nproc_per_node [2-9]")
SHORT = ["TRAIN.EPOCH", "1", "TRAIN.STEP", "-1"]


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def code_of(text: str) -> tuple[list[str], dict[str, list[str]], str]:
    """(lines of commands, {language: blocks} of other code, the text around it) of a Markdown file."""
    blocks: dict[str, list[str]] = {}

    def take(match: re.Match) -> str:
        blocks.setdefault(match[1], []).append(match[2])
        return ""

    rest = re.sub(r"^```(\w*)\n(.*?)^```$", take, text, flags=re.DOTALL | re.MULTILINE)
    commands, prose, blank = [], [], True
    for line in rest.splitlines():
        indented = line.startswith("    ") and blank
        (commands if indented else prose).append(line.strip() if indented else line)
        blank = indented or not line.strip()
    for language in ("", "bash", "sh", "shell"):
        for block in blocks.pop(language, []):
            commands += [line.strip() for line in block.splitlines() if line.strip()]
    within = re.findall(r"`((?:python|bash|make|pip install|docker) [^`]+)`", "\n".join(prose))
    return [*commands, *within], blocks, "\n".join(prose)


def commands_of(name: str) -> list[str]:
    """The commands of a README, without what a comment says."""
    lines = [re.sub(r"\s+# .*", "", line) for line in code_of(text_of(name))[0]]
    return [line for line in lines if not any(re.match(pattern, line) for pattern in NO_COMMAND)]


def not_run(command: str) -> str | None:
    return next((reason for pattern, reason in NOT_RUN.items() if re.match(pattern, command)), None)


def commands_to_run(name: str) -> list[str]:
    """Those that one process runs."""
    return [command for command in commands_of(name) if not not_run(command) and not SEVERAL.search(command)]


def variants(command: str) -> list[str]:
    """A synopsis with [parts] that may be left out: without any, and with each first and each last alternative."""
    optional = re.compile(r" \[(-[^\]]+)\]")
    if not optional.search(command):
        return [command]
    return [
        optional.sub("", command),
        *(optional.sub(lambda part, which=which: " " + part[1].split(" | ")[which], command) for which in (0, -1)),
    ]


class Workplace:
    """A folder like a checkout, with small data in it, in which commands are run in this process where they can be."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port, self.count, self.run = folder, port, itertools.count(), ""
        (folder / "data").mkdir()
        (folder / "lib").mkdir()
        for name in ("configs", "run_scripts", "data/samples", "lib/weights"):
            (folder / name).symlink_to(ROOT / name)
        for dataset, estimator, channels in (("h36m", "fcn", 51), ("uiprmd", "kinect", 66)):
            write_poses(folder / "data/poses", dataset, estimator, lengths=(40, 36, 33), channels=channels)
        for name in ("m01_s01_e01", "m01_s09_e01"):
            write_clip(folder / "raw", name)
        np.save(folder / "people.npy", np.random.default_rng(0).uniform(size=(2, 20, 17, 3)))
        points = np.random.default_rng(0).normal(size=(10, 17, 2)).tolist()
        (folder / "frames.jsonl").write_text("".join(json.dumps({"keypoints": frame}) + "\n" for frame in points))

    def __call__(self, command: str) -> None:
        for variant in variants(command):
            self.call(command, variant)

    def call(self, command: str, variant: str) -> None:
        known = SAMPLES | {"n": next(self.count), "run": self.run, "port": self.port}
        for pattern, replacement in PLACEHOLDERS.items():
            if "{run}" in replacement and not self.run and re.search(pattern, variant):
                self("python run_scripts/run_smoothnet.py ARGUMENTS")
                known["run"] = self.run
            variant = re.sub(pattern, replacement.format_map(known), variant)
        words = shlex.split(variant)
        assert words[0] == "python", f"no test knows how to run: {command}"
        files = {}
        for sign in ("<", ">"):
            if sign in words:
                at = words.index(sign)
                files[sign] = words[at + 1]
                del words[at : at + 2]
        for name in set(EXAMPLES) & set(words):
            if not (self.folder / name).exists():
                made = self.folder / "made"
                made.mkdir(exist_ok=True)
                EXAMPLES[name](made).rename(self.folder / name)
        script, arguments = words[1], words[2:]
        trains = script.endswith(("train_smoothnet.py", "run_smoothnet.py")) and "--eval" not in arguments
        if trains:
            arguments += SHORT if "--opts" in arguments else ["--opts", *SHORT]
        said, complaints = io.StringIO(), io.StringIO()
        with (
            open(files.get("<", os.devnull)) as given,
            pytest.MonkeyPatch.context() as patch,
            contextlib.redirect_stderr(complaints),
            contextlib.redirect_stdout(said),
        ):
            patch.setattr(sys, "stdin", given)
            status = self.start(script, arguments)
        assert status == 0, f"{command}\nran as: {shlex.join(words)}\n{complaints.getvalue()}{said.getvalue()}"
        if ">" in files:
            (self.folder / files[">"]).write_text(said.getvalue())
        if trains:
            self.run = "results/" + max(os.listdir("results"), key=lambda name: os.stat(f"results/{name}").st_mtime_ns)

    def start(self, script: str, arguments: list[str]) -> int:
        if script.endswith("run_smoothnet.py"):
            child = run_smoothnet.build_command(run_smoothnet.parse(arguments))
            if child[1].endswith("processes.py"):
                return self.start_processes(arguments, child)
            script, arguments = str(Path(child[1]).relative_to(ROOT)), child[2:]
        if script.startswith("benchmarks/"):  # it starts processes that import it
            return self.wait_for([[sys.executable, str(ROOT / script), *arguments]])
        command = re.fullmatch(r"(\w+)_smoothnet\.py", script)
        if command:
            return commands.run(command[1], arguments)
        return run_main(runpy.run_path(str(ROOT / script), run_name="a_test")["main"], arguments)

    def start_processes(self, arguments: list[str], child: list[str]) -> int:
        """The launcher's command; of several machines, those that are missing too."""
        children = [child]
        if "--node_rank" in arguments:
            at = arguments.index("--node_rank") + 1
            others = [*arguments[:at], "1", *arguments[at + 1 :]]
            children.append(run_smoothnet.build_command(run_smoothnet.parse(others)))
        children = [[*each, "TRAIN.VALIDATE", "False"] for each in children]  # several processes are slow enough
        return self.wait_for(children)

    def wait_for(self, children: list[list[str]]) -> int:
        """Run the commands side by side."""
        started = [
            subprocess.Popen(
                each, cwd=self.folder, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True,
            )
            for each in children
        ]  # fmt: skip
        for process in started:
            print(process.communicate(timeout=200)[0])
        return next((process.returncode for process in started if process.returncode), 0)


@pytest.fixture
def workplace(tmp_path, free_port, monkeypatch):
    log = logging.getLogger("lib")
    before = log.handlers[:], log.level, log.propagate
    signals = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    monkeypatch.chdir(tmp_path)
    yield Workplace(tmp_path, free_port)
    log.handlers[:], log.level, log.propagate = before
    for number, handler in signals.items():
        signal.signal(number, handler)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in ORIGINALS if commands_to_run(name)])
def test_every_command_runs(name, workplace):
    for pattern, modules in NEEDS.items():
        for module in modules if any(re.search(pattern, command) for command in commands_to_run(name)) else ():
            pytest.importorskip(module)
    for command in commands_to_run(name):
        workplace(command)
    if "json" in code_of(text_of(name))[1]:
        the_metrics_are_laid_out_as_shown(name, workplace)


@pytest.mark.slow
@pytest.mark.parametrize(
    "command", sorted({line for name in PAGES for line in commands_of(name) if SEVERAL.search(line)})
)
def test_every_command_of_several_processes_runs(command, workplace):
    """Each in a test of its own, as they take longest."""
    workplace(command)


def the_metrics_are_laid_out_as_shown(name: str, workplace: Workplace) -> None:
    (shown,) = map(json.loads, code_of(text_of(name))[1]["json"])
    rows = [row for path in workplace.folder.glob("results/*/metrics.json") for row in read_json(path)["results"]]
    example = shown["results"][0]
    row = next(row for row in rows if row["checkpoint"].endswith(example["checkpoint"]))
    assert set(row) == set(example)
    assert set(row["metrics"]) >= set(example["metrics"]) | {"smoothnet_accel_unpadded", "input_mpjpe_top1"}


@pytest.mark.parametrize("name", [name for name in PAGES if "python" in code_of(text_of(name))[1]])
def test_the_python_code_runs(name, tmp_path, monkeypatch):
    """The blocks of a page one after the other, as a reader would try them, with `points` to smooth."""
    if name in TRIED_BY:
        assert f'"{name}"' in text_of(TRIED_BY[name])
        return
    monkeypatch.chdir(ROOT)
    points = np.random.default_rng(0).normal(size=(40, 17, 3)).astype(np.float32)
    known = {"points": points}
    for number, code in enumerate(code_of(text_of(name))[1]["python"]):
        script = tmp_path / f"{number}.py"
        script.write_text(code)
        known |= {key: value for key, value in runpy.run_path(str(script), known).items() if key[:2] != "__"}
    if name in (ENGLISH, CHINESE):
        assert known["smoothed"].shape == points.shape and known["smoothed"].dtype == points.dtype
        assert len(known["rest"]) == 4 and known["old"].shape == points.shape[1:]


@pytest.mark.parametrize("name", PAGES)
def test_commands_that_no_test_runs_have_a_reason(name):
    blocks = code_of(text_of(name))[1].get("text", [])
    shown = re.findall(
        r"^(?:\$ )?(?:python|smoothnet|pip|docker|make|bash|npm|node) .*", "\n".join(blocks), re.MULTILINE
    )
    assert bool(shown) == (name in TEXT), f"run {shown}, or say in TEXT why not"


def test_every_reason_not_to_run_a_command_is_needed():
    commands = [command for name in PAGES for command in commands_of(name)]
    for pattern in NOT_RUN:
        assert any(re.match(pattern, command) for command in commands), pattern
    for pattern in PLACEHOLDERS:
        assert any(re.search(pattern, command) for command in commands), pattern


@pytest.mark.skipif(not shutil.which("make"), reason="no make")
def test_make_would_do_what_the_readme_says():
    outside = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}  # `make test` runs this
    for command in commands_of(ENGLISH):
        if command.startswith("make "):
            words = shlex.split(command)
            steps = subprocess.run(
                [*words, "-n", "VENV=nowhere"], cwd=ROOT, capture_output=True, text=True, check=True, env=outside
            ).stdout
            last = {"demo": "nowhere/bin/python run_scripts/demo.py", "test": "nowhere/bin/python -m pytest -n auto"}
            assert steps.splitlines()[-1] == last[words[1]]
            for chosen in words[2:]:
                assert f"pip install --quiet --disable-pip-version-check {chosen.removeprefix('TORCH=')}\n" in steps


def test_what_is_to_be_installed_is_what_the_package_names():
    extras = re.findall(r"^(?:smpl|video|mesh|onnx|formats) = \[(.*)\]$", text_of("pyproject.toml"), re.MULTILINE)
    named = set(re.findall(r'"(\w+)', " ".join(extras))) - {"torch"}
    named -= set(re.findall(r"^(\w+)", text_of("requirements.txt"), re.MULTILINE))
    assert len(extras) == 5
    for name in (ENGLISH, CHINESE):
        prose = code_of(text_of(name))[2]
        missing = [package for package in named - {"pillow"} if not re.search(rf"`[^`\n]*\b{package}\b", prose)]
        assert not missing, f"{name} does not say that {missing} may be installed"


def anchors(text: str) -> list[str]:
    """What GitHub makes of the headings."""
    lines = [line for line in text.splitlines() if line.startswith("#")]
    return [re.sub(r"[^\w\- ]", "", line.lstrip("# ").lower()).replace(" ", "-") for line in lines]


def links(name: str) -> list[tuple[str, str]]:
    """(path from the root, anchor) of each link of a page to a file, and (address, "") of the others."""
    found = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(name)):
        path, _, anchor = target.partition("#")
        if re.match(r"https?://", target):
            found.append((target, ""))
        else:
            found.append((os.path.normpath(os.path.join(os.path.dirname(name), path)) if path else name, anchor))
    return found


@pytest.mark.parametrize("name", PAGES)
def test_no_link_is_dead(name):
    for path, anchor in links(name):
        if not re.match(r"https?://", path):
            assert (ROOT / path).exists(), path
            assert not anchor or anchor in anchors(text_of(path)), f"{path}#{anchor}"


@pytest.mark.parametrize("name", [*PAGES, "CONTRIBUTING.md", "SECURITY.md"])
def test_files_that_a_page_names_are_there(name):
    named = re.findall(
        r"`((?:lib|tests|benchmarks|configs|data|docs|examples|run_scripts)/[\w./-]+\.\w+)`", text_of(name)
    )
    missing = {path for path in named if not (ROOT / path).exists() and "NAME" not in path}
    assert {path for path in missing if not path.startswith(("data/smpl/", "data/poses/"))} == set()


def counterparts(name: str) -> list[str]:
    """Where in English stands what a page in Chinese says; of the README parts stand in docs."""
    pages = [page for page in ORIGINALS if page.startswith("docs/")] if name == CHINESE else []
    return [TRANSLATIONS[name], *pages]


@pytest.mark.parametrize("name", TRANSLATIONS)
def test_both_languages_hold_the_same_commands(name):
    english, chinese = (Counter(commands_of(page)) for page in (TRANSLATIONS[name], name))
    assert not english - chinese
    assert set(chinese) <= {command for page in counterparts(name) for command in commands_of(page)}
    assert name == CHINESE or english == chinese


def blocks_of(*names: str) -> dict[str, set[str]]:
    """Code of other languages than the shell's, without comments."""
    blocks: dict[str, set[str]] = {}
    for name in names:
        for language, codes in code_of(text_of(name))[1].items():
            blocks.setdefault(language, set()).update(re.sub(r"(?m)[ \t]+#.*", "", code) for code in codes)
    return blocks


@pytest.mark.parametrize("name", TRANSLATIONS)
def test_both_languages_hold_the_same_code(name):
    english, chinese, anywhere = (blocks_of(*pages) for pages in ([TRANSLATIONS[name]], [name], counterparts(name)))
    for language, codes in english.items():
        assert codes <= chinese.get(language, set())
    for language, codes in chinese.items():
        assert codes <= anywhere.get(language, set())


def numbers(text: str) -> list[str]:
    """Those with a point or comma, and those of three digits and more, outside headings, code and addresses."""
    text = re.sub("(?m)^#.*", "", code_of(text)[2])
    return re.findall(r"(?<![\w.])(?:\d*(?:[.,]\d+)+|\d{3,})", re.sub(r"\]\([^)\s]*\)", "]", text), re.ASCII)


def rows(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if line.startswith("|"))


@pytest.mark.parametrize("name", TRANSLATIONS)
def test_both_languages_hold_the_same_numbers(name):
    english, chinese = text_of(TRANSLATIONS[name]), text_of(name)
    missing = Counter(numbers(rows(english))) - Counter(numbers(rows(chinese)))
    further = Counter(numbers(rows(chinese))) - Counter(numbers(rows(english)))
    assert not missing and (name == CHINESE or not further)
    assert set(numbers(english)) <= set(numbers(chinese))
    assert set(numbers(chinese)) <= {number for page in counterparts(name) for number in numbers(text_of(page))}
    assert name != CHINESE or len(numbers(rows(english))) > 20


def test_the_table_of_the_readme_is_part_of_the_page_on_accuracy():
    section = text_of(ENGLISH).split("## Accuracy\n")[1].split("\n## ")[0]
    assert len(numbers(rows(section))) > 20
    assert set(numbers(rows(section))) <= set(numbers(rows(text_of("docs/accuracy.md"))))


@pytest.mark.parametrize("name", TRANSLATIONS)
def test_both_languages_link_to_the_same_files(name):
    def targets(*pages: str) -> set[str]:
        """Without those from one language of the page to the other."""
        return {TRANSLATIONS.get(path, path) for page in pages for path, _ in links(page)} - {TRANSLATIONS[name]}

    assert targets(TRANSLATIONS[name]) <= targets(name)
    assert targets(name) <= targets(*counterparts(name)) | set(counterparts(name))
    assert name == CHINESE or targets(TRANSLATIONS[name]) == targets(name)


def test_every_page_has_its_place_in_the_navigation():
    named = set(re.findall(r": ([\w/.-]+\.md)$", text_of("mkdocs.yml"), re.MULTILINE))
    missing = {name.removeprefix("docs/") for name in ORIGINALS if name.startswith("docs/")} - named
    assert not missing, f"name {sorted(missing)} under nav in mkdocs.yml"


@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_left_to_do(name):
    assert "TODO" not in text_of(name)


@pytest.mark.parametrize("name", ["docs/speed.md", "docs/benchmarks.md"])
def test_tables_of_speed_say_the_instruction_set(name):
    assert {"AVX-512", "AVX2"} <= set(re.findall(r"AVX-?\d+", text_of(name)))


@pytest.mark.parametrize("name", [name for name in PAGES if "--checkpoint results/path_to/epoch_23" in text_of(name)])
def test_commands_with_an_epoch_of_the_model_zoo_say_how_epochs_are_counted(name):
    assert "`epoch_24.pth.tar`" in text_of(name)


def test_the_table_of_arguments_is_that_of_the_launcher():
    rows = [line.strip("| ").split(" | ") for line in text_of("run_scripts/README.md").splitlines() if "`--" in line]
    rows = [[cell.strip() for cell in row] for row in rows if len(row) == 4]
    named = {flag for row in rows for flag in re.findall(r"`(--\w+)`", row[0])}
    assert named == {flag for argument in launched() for flag in argument.flags}
    commands = {flag: argument.commands.split() for argument in launched() for flag in argument.flags}
    for *_, example in rows:
        words = shlex.split(example.strip("`"))
        evaluation = words[0] == "--eval" or ("train" not in commands[words[0]] and "launch" not in commands[words[0]])
        words = [*(["--eval", "--checkpoint", "x"] if evaluation else []), *words]
        run_smoothnet.parse(words)
