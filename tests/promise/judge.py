# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Whether the promise held: status, sentence, result, and what lies where."""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import re
import signal
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path

import numpy as np

from .mutate import Case
from .run import Outcome

LINES = 4  # remarks before the sentence
LENGTH = 3000


def complaints(case: Case, outcome: Outcome, folder: Path) -> list[str]:
    """What was not as promised; empty if all was. Each begins with its kind and a colon."""
    found = []
    if outcome.late:
        return ["time: it does not end"]
    if "Traceback (most recent call last)" in outcome.stderr:
        found.append(f"traceback: {last_frame(outcome.stderr)}")
    elif "Warning:" in outcome.stderr:
        found.append(f"warning: {re.search(r'.*Warning: .*', outcome.stderr)[0]}")
    elif "Exception ignored" in outcome.stderr:
        found.append("traceback: exception ignored at the end")
    if outcome.status == 2:
        found += sentence(case, outcome.stderr)
    elif outcome.status == 0 or (outcome.status == 3 and case.command == "corpus"):
        try:
            right(case, folder / "work", outcome.status)
        except Exception as error:
            found.append(f"result: {type(error).__name__}: {error}")
    elif outcome.status not in allowed(case) and not found:
        found.append(f"status: {outcome.status}, {outcome.stderr.strip().splitlines()[-1:]}")
    return found + misplaced(case, outcome)


def allowed(case: Case) -> set[int]:
    """Other statuses than 0 and 2 that are no broken promise."""
    statuses = {1} if case.command == "loss" else {3} if case.command == "corpus" else set()
    if case.closed:
        statuses.add(128 + signal.SIGPIPE)
    if case.signal:
        statuses |= {128 + case.signal[0], -case.signal[0]}
    return statuses


def last_frame(text: str) -> str:
    """The exception and the innermost line of this repository."""
    frames = re.findall(r'File "([^"]*/(?:lib|data|run_scripts)/[^"]*)", line (\d+), in (\S+)', text)
    name, _, function = frames[-1] if frames else ("?", "0", "?")
    last = text.strip().splitlines()[-1][:200]
    short = re.sub(r".*/(lib|data|run_scripts)/", r"\1/", name)
    return f"{short}:{function}: {last}"


def sentence(case: Case, stderr: str) -> list[str]:
    """One sentence that names the file, argument or setting."""
    lines = stderr.rstrip("\n").split("\n")
    numbers = [i for i, line in enumerate(lines) if re.match(r"(\S+( \w+)?: )?error: ", line)]
    if len(numbers) != 1:
        return [f"sentence: {len(numbers)} lines that begin with error: {stderr[:200]!r}"]
    text = "\n".join(lines[numbers[0] :])
    usage = lines[0].startswith("usage: ")
    if "\n" in text and not any("\n" in word for word in (*case.argv, *case.words)):
        return [f"sentence: more than one line: {text[:300]!r}"]
    if numbers[0] > LINES and not usage:
        return [f"sentence: {numbers[0]} lines before it"]
    if len(text) > LENGTH + sum(len(word) for word in case.argv if len(word) > 100):
        return [f"sentence: {len(text)} characters"]
    text = text.encode(errors="backslashreplace").decode()
    if case.words and not any(
        word in text or ascii(word)[1:-1] in text or repr(word)[1:-1] in text for word in case.words
    ):
        return [f"names: {text[:300]!r} has none of {sorted({w[:40] for w in case.words})}"]
    return []


def misplaced(case: Case, outcome: Outcome) -> list[str]:
    """Files that changed, appeared or went, other than the output."""
    found = []
    outputs = [os.path.normpath(os.path.join("work", name)) for name in case.outputs if name.strip("./")]

    def is_output(name: str) -> bool:
        return any(name == output or name.startswith(output.rstrip("/") + "/") for output in outputs)

    for name in sorted({*outcome.before, *outcome.after}):
        old, new = outcome.before.get(name), outcome.after.get(name)
        if old == new or name.startswith("tmp/.ses") or name.startswith("tmp/.cache"):  # of ONNX Runtime
            continue
        what = "new" if old is None else "gone" if new is None else "changed"
        if re.search(
            r"(^|/)(\.smoothing|\.?tmp|tmp\w{6,})|\.(tmp|part|old)$", name.removeprefix("tmp/")
        ) or name.startswith("tmp/"):
            found.append(f"residue: {what} {re.sub('[.][a-z0-9_]{8}(?=/|$)', '.*', name)}")
        elif not is_output(name) or name.removeprefix("work/") in case.kept:
            found.append(f"outside: {what} {name!a}")
        elif case.only_on_success and outcome.status == 2:
            found.append(f"outside: {what} {name!a} although refused")
    return found[:4]


# ------------------------------------------------------------------------------------------------------- right results


def right(case: Case, work: Path, status: int = 0) -> None:
    """Raise AssertionError where a result is not what the input asks for."""
    outputs = [work / name for name in case.outputs]
    if case.command == "smooth":
        assert outputs and outputs[0].exists(), "nothing was written"
        out, fill = outputs[0], "--fill" in case.argv
        for source in smoothed_inputs(case, work):
            same_form(source, out / source.name if out.is_dir() and source.is_file() else out, fill)
    elif case.command == "corpus":
        named = [word.removeprefix("--manifest=") for word in case.argv if word.startswith("--manifest=")]
        beside = f"{os.path.normpath(case.outputs[0])}.corpus"
        manifest = work / named[-1] if named else work / beside / "manifest.sqlite"
        if manifest.is_file():
            same_corpus(work, outputs[0], manifest, status)
    elif case.command == "page" and outputs and outputs[0].is_file():
        text = outputs[0].read_text(encoding="utf-8")
        if outputs[0].suffix == ".html":
            assert text.lower().startswith("<!doctype"), "no page"
        else:
            weights = json.loads(text.partition("export default ")[2].rstrip().rstrip(";"), parse_constant=not_json)
            values = np.frombuffer(base64.b64decode(weights["data"]), "<f4")
            assert np.isfinite(values).all(), "weights not finite"
    elif case.command == "stream":
        same_lines(work.parent, case)
    elif case.command == "eval" and (work / "run").exists():
        content = json.loads((work / "run/metrics.json").read_text(), parse_constant=not_json)
        for row in content["results"]:
            for name, value in row["metrics"].items():
                assert np.isfinite(value), f"{name} is {value}"
    elif case.command == "train" and (work / "run/checkpoint.pth.tar").exists():
        import torch

        content = torch.load(work / "run/checkpoint.pth.tar", weights_only=True)
        assert all(bool(torch.isfinite(value).all()) for value in content["state_dict"].values()), "weights not finite"
    elif case.command == "visualize":
        pictures = [path for folder in outputs for path in folder.rglob("*") if path.is_file()]
        assert pictures, "no picture"
        for path in pictures:
            picture(path)
    elif case.command == "export" and outputs and outputs[0].is_file():
        import onnx

        onnx.checker.check_model(onnx.load(outputs[0]))


def not_json(word: str) -> None:
    raise AssertionError(f"{word} is no JSON")


def picture(path: Path) -> None:
    from PIL import Image

    if path.suffix in (".png", ".gif"):
        with Image.open(path) as image:
            image.load()
    elif path.suffix == ".html":
        assert path.read_text(encoding="utf-8").lower().startswith("<!doctype"), "no page"


def smoothed_inputs(case: Case, work: Path) -> list[Path]:
    """What stands before the first argument."""
    words = []
    for word in case.argv:
        if word.startswith("-") and word not in case.inputs:
            break
        words.append(work / word)
    return words


def same_corpus(work: Path, out: Path, manifest: Path, status: int) -> None:
    """Files that are done have outputs of their form, others have not, and a sentence that names them."""
    with closing(sqlite3.connect(manifest)) as book:
        rows = book.execute("SELECT name, state, error FROM files WHERE run = (SELECT max(id) FROM runs)").fetchall()
    assert status == 3 or all(state == "done" for _, state, _ in rows), "status 0 though files failed"
    for name, state, error in rows:
        if state == "done":
            same_form(work / "poses" / name, out / name, False)
        else:
            assert error and Path(name).name in error and "\n" not in error, f"{name}: {error!r} does not name it"
            assert ": unexpected " not in error, error  # a mistake of the program's


def same_form(old: Path, new: Path, fill: bool) -> None:
    """The output has the form of the input, and its coordinates stay near those of the input."""
    if old.is_dir():
        assert sorted(p.name for p in old.iterdir()) == sorted(p.name for p in new.iterdir()), "other files"
        numbers: list[tuple] = []
        for path in old.iterdir():
            numbers += changed_numbers(path, new / path.name, fill)
        near(old.name, *np.array(numbers, float).reshape(-1, 2).T, fill)  # one recording, a frame a file
    elif old.suffix == ".npz":
        with zipfile.ZipFile(old) as a, zipfile.ZipFile(new) as b:
            assert a.namelist() == b.namelist(), "other members"
            for name in a.namelist():
                if a.read(name) != b.read(name):
                    with a.open(name) as x, b.open(name) as y:
                        near(name, np.lib.format.read_array(x), np.lib.format.read_array(y), fill)
    elif old.suffix == ".npy":
        with open(old, "rb") as a, open(new, "rb") as b:
            if not any(b"|O'" in file.read(200) for file in (a, b)):  # pickled objects are no arrays to compare
                near(old.name, np.load(old), np.load(new), fill)
    elif old.suffix == ".json":
        near(old.name, *np.array(changed_numbers(old, new, fill), float).reshape(-1, 2).T, fill)
    elif old.suffix in (".csv", ".trc"):
        delimiter = "\t" if old.suffix == ".trc" else ","
        texts = [path.read_bytes().decode("utf-8-sig", errors="replace") for path in (old, new)]
        rows = [list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)) for text in texts]
        assert len(rows[0]) == len(rows[1]), "other rows"
        if fill:  # which completes the rows that end where points are missing
            rows[0] = [[*a, *[""] * (len(b) - len(a))] for a, b in zip(*rows, strict=True)]
        assert [len(row) for row in rows[0]] == [len(row) for row in rows[1]], "other cells"
        pairs = [(a, b) for x, y in zip(*rows, strict=True) for a, b in zip(x, y, strict=True)]
        near(old.name, np.array([number(a) for a, _ in pairs]), np.array([number(b) for _, b in pairs]), fill)


def changed_numbers(old: Path, new: Path, fill: bool) -> list[tuple]:
    """Pairs of numbers of two JSON files, which differ in nothing else."""
    numbers: list[tuple] = []
    if old.suffix != ".json":
        assert old.read_bytes() == new.read_bytes() or old.suffix == ".txt", f"{old.name} changed"
        return numbers
    before, after = (path.read_text(encoding="utf-8-sig") for path in (old, new))
    foreign = re.search(r"\b(NaN|Infinity)\b", before)  # Python's own extension, kept where it was
    a, b = json.loads(before), json.loads(after, parse_constant=None if foreign else not_json)
    same_tree(a, b, numbers, fill)
    return numbers


def number(text: str) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return float("nan")


def same_tree(a: object, b: object, numbers: list[tuple], fill: bool = False) -> None:
    """The same but for numbers, which are all noted; with `fill`, numbers may stand where null did."""
    if isinstance(a, dict):
        assert isinstance(b, dict) and list(a) == list(b), "other keys"
        for key in a:
            same_tree(a[key], b[key], numbers, fill)
    elif isinstance(a, list):
        assert isinstance(b, list) and len(a) == len(b), "a list of another length"
        for x, y in zip(a, b, strict=True):
            same_tree(x, y, numbers, fill)
    elif isinstance(a, int | float) and not isinstance(a, bool) and isinstance(b, int | float):
        if abs(a) < 2**1000 or a != b:  # of whole numbers that no float holds
            numbers.append((a, b))
    elif not (fill and a is None and isinstance(b, int | float)):
        assert a == b or (a != a and b != b), f"{a!r:.30} became {b!r:.30}"


def near(name: str, old: np.ndarray, new: np.ndarray, fill: bool) -> None:
    """Shape as before, finite where it was, missing where it was, and no further away than the input ranges."""
    assert old.shape == new.shape, f"{name}: shape {old.shape} became {new.shape}"
    assert new.dtype.kind == "f", f"{name}: type {old.dtype} became {new.dtype}"
    before, after = old.astype(float), new.astype(float)
    known = np.isfinite(before)
    assert np.isfinite(after[known]).all(), f"{name}: numbers became NaN or infinite"
    if not fill:
        assert not np.isfinite(after[~known]).any(), f"{name}: missing points became numbers"
    if known.any():
        low, high = before[known].min(), before[known].max()
        margin = high - low + 1e-3 * max(abs(low), abs(high)) + 7  # 7: a turn of a rotation
        far = np.maximum(low - margin - after[known], after[known] - high - margin).max()
        assert far <= 0, f"{name}: a number is {far:.3g} beyond its range {low:.3g} to {high:.3g}"


def same_lines(folder: Path, case: Case) -> None:
    """One line out for each line in, finite, with the same people."""
    if case.closed:
        return
    text = (folder / "work" / case.stdin).read_text(encoding="utf-8-sig", errors="replace")  # without a mark before it
    old = [line for line in text.split("\n") if line.strip()]
    new = (folder / "stdout").read_text().splitlines()
    assert len(old) == len(new), f"{len(old)} lines in, {len(new)} out"
    for a, b in zip(old, new, strict=True):
        same_tree(json.loads(a), json.loads(b, parse_constant=not_json), [])


def describe(case: Case) -> str:
    """One line: the command, and what was done to its input."""
    words = " ".join(ascii(word)[1:-1][:60] for word in case.argv)
    return f"{case.command} {words}  [{'; '.join(case.done) or 'good input'}]"
