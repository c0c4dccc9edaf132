# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""How good smoothers are: against true motion with errors of many kinds, and against real pairs.

    python benchmarks/accuracy.py                                # classical smoothers and the default weights
    python benchmarks/accuracy.py --data FOLDER --json out.json  # with the clean motion and the pairs found there
    python benchmarks/accuracy.py --methods input,rts,rts:0.5,butterworth:6Hz,hampel+rts,uiprmd_kinect_3D:8,my.pth.tar
    python benchmarks/accuracy.py --frames 16 [--joint 9]        # short recordings, one joint alone
    python benchmarks/accuracy.py --quick                        # some seconds; for CI

Everything is deterministic. Choose settings with --part settings and report figures of --part report (the default):
other people, other movements, other mixtures, and kinds of errors that the first part has not.

A method is a callable (points (T, K, D) float64 with NaN where missing, fps) -> the same shape.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from benchmarks.errors import Case, cases, seeded, truths, white
from benchmarks.motion import PARTS, Clip, body_size, generated, of_part, recorded
from data.pose2sim_pairs import read_pairs
from lib.filters import METHODS, classical_smoother
from lib.utils.errors import SmoothNetError
from lib.utils.files import write_json
from lib.weights import FOLDER

Method = Callable[[np.ndarray, float], np.ndarray]
DEFAULT_METHODS = (
    "input",
    "rts",
    "hampel+rts",
    "butterworth",
    "gaussian",
    "savgol",
    "median",
    "oneeuro",
    "hampel+butterworth",
    "uiprmd_kinect_3D:32",
    "network",
    "untold+network",
)
REFERENCE = "rts"  # what the others must beat
EVERYTHING = (slice(None), slice(None))
MARGIN = 1.0005  # by so much a figure must be larger to count as worse


# ---------------------------------------------------------------- methods
def method(text: str) -> Method:
    """input | FILTER[:STRENGTH or :CUTOFFHz] | network (the default) | WEIGHTS[:WINDOW] | a checkpoint's path; all but
    the first with hampel+ before them: behind Hampel's filter; the latter three also with untold+: not told the frame
    rate, and those of the general network with look+: as `--outliers network`.

    Raises:
        SmoothNetError: none of these.
    """
    if text == "input":
        return lambda points, fps: points
    if text == "hampel":
        return lambda points, fps: classical_smoother("rts", fps=fps, outliers="hampel").clean(points)[0]
    if text.startswith("hampel+"):
        clean, then = method("hampel"), method(text.removeprefix("hampel+"))
        return lambda points, fps: then(clean(points, fps), fps)
    name, _, setting = text.partition(":")
    if name in METHODS:
        options: dict[str, Any] = {}
        try:
            if setting:
                options["cutoff" if setting.endswith("Hz") else "strength"] = float(setting.removesuffix("Hz"))
        except ValueError:
            raise SmoothNetError(f"{text!r}: after the colon comes a strength or a cut-off such as 4Hz") from None
        return lambda points, fps: classical_smoother(name, fps=fps, **options)(points)
    from lib.inference import Smoother
    from lib.inference.second_look import SLOWEST, second_look
    from lib.utils.gaps import MAX_GAP

    before = next((prefix for prefix in ("untold+", "look+") if text.startswith(prefix)), "")
    text, name = text.removeprefix(before), name.removeprefix(before)
    if name == "network":
        network = Smoother.from_checkpoint()
    elif Path(text).exists():
        network = Smoother.from_checkpoint(text)
    elif (FOLDER / name).is_dir() and name.isidentifier():
        network = Smoother.from_checkpoint(name, window=int(setting) if setting.isdecimal() else None)
    else:
        raise SmoothNetError(f"there is no method {text!r}: {', '.join(METHODS)}, network, weights or a checkpoint")
    if before == "look+":

        def looked(points: np.ndarray, fps: float) -> np.ndarray:
            return network.at(fps)(second_look(network, points, fps, MAX_GAP)[0] if fps >= SLOWEST else points)

        return looked
    return lambda points, fps: network.at(None if before == "untold+" else fps)(points)


# ---------------------------------------------------------------- scores
def _norm(vectors: np.ndarray) -> np.ndarray:
    return np.sqrt(np.einsum("tkd,tkd->tk", vectors, vectors))


def scores(output: np.ndarray, truth: np.ndarray, fps: float) -> dict[str, np.ndarray]:
    """Sums over the points whose truth is known, so that clips can be pooled: each value is (sum, count).

    mpjpe; velocity and accel: errors of first and second differences a frame; kept: of the fastest 1 % of the truth's
    steps, the share of the true step that the output makes in its direction (weighted by the step).
    """
    error = output - truth
    step, true_step = np.diff(output, axis=0), np.diff(truth, axis=0)
    speed = _norm(true_step)
    quickest = speed >= np.nanquantile(speed, 0.99)
    along = np.einsum("tkd,tkd->tk", step, true_step)
    shown = np.isfinite(along) & quickest
    result = {"kept": np.array([along[shown].sum(), (speed[shown] ** 2).sum()])}
    for name, values in (
        ("mpjpe", _norm(error)),
        ("velocity", _norm(np.diff(error, axis=0))),
        ("accel", _norm(np.diff(error, 2, axis=0))),
    ):
        result[name] = np.array([np.nansum(values), np.isfinite(values).sum()])
    return result


def pooled(rows: Sequence[dict[str, np.ndarray]]) -> dict[str, float]:
    """Means over all clips."""
    totals = {key: np.sum([row[key] for row in rows], axis=0) for key in rows[0]}
    return {key: float(total / max(count, 1e-12)) for key, (total, count) in totals.items()}


def _finite(output: np.ndarray, points: np.ndarray, name: str) -> np.ndarray:
    if output.shape != points.shape or not np.isfinite(output[np.isfinite(points)]).all():
        raise SmoothNetError(f"{name} gave {output.shape} for {points.shape}, or NaN where the input has numbers")
    return output


def measure(
    methods: Mapping[str, Method], items: Sequence[tuple[np.ndarray, np.ndarray, float]], root: Sequence[int] = ()
) -> dict[str, Any]:
    """Every method on (estimate, truth, fps) items: name -> pooled scores.

    Args:
        root: joints whose mean is subtracted after smoothing, as evaluation does; none: nothing is.
    """

    def relative(points: np.ndarray) -> np.ndarray:
        return points - points[:, list(root)].mean(axis=1, keepdims=True) if root else points

    return {
        name: pooled(
            [
                scores(relative(_finite(run(points, fps), points, name)), relative(truth), fps)
                for points, truth, fps in items
            ]
        )
        for name, run in methods.items()
    }


def made_errors(
    methods: Mapping[str, Method],
    clips: Sequence[Clip],
    part: str,
    quick: bool,
    shown: tuple[slice, slice] = EVERYTHING,
) -> dict[str, Any]:
    """Case -> method -> scores, of `shown`: which frames and joints the methods are given."""
    results = {}
    for case in cases(part, quick):
        rng = seeded(case.name, part, "errors")
        items = [
            (case.kind(rng, truth, case.fps, case.level, clip), truth, float(case.fps))
            for clip, truth in truths(clips, case, part, 2.0 if quick else 6.0)
        ]
        cut = [(points[shown], truth[shown], fps) for points, truth, fps in items]
        results[case.name] = measure(methods, cut)
    return results


def clean(methods: Mapping[str, Method], clips: Sequence[Clip], part: str, quick: bool) -> dict[str, Any]:
    """Clean motion, mm: case -> method -> scores; `mpjpe` is what the method added."""
    results = {}
    for fps in (30,) if quick else (30, 60):
        for fast in (False, True):
            case = Case(white, 0.0, fps, 3, fast)
            items = [(truth, truth, float(fps)) for _, truth in truths(clips, case, part, 2.0 if quick else 10.0)]
            results[f"{'fast' if fast else 'slow'} {fps} fps"] = measure(methods, items)
    return results


# What moves in a rhythm: joints and axis of JOINTS in benchmarks/motion.py, and how far each goes along.
RHYTHMS: Mapping[str, tuple[int, Mapping[int, float]]] = {
    "rope": (1, dict.fromkeys(range(17), 1.0)),
    "arm": (0, {14: 0.2, 15: 0.6, 16: 1.0}),
    "legs": (1, {2: 1.0, 3: 1.0, 5: -1.0, 6: -1.0}),
}
BEATS = (1.5, 2.0, 2.5, 3.0)  # a second
SWING = 0.3  # sizes of the body
SHAKE = 0.02  # sizes of the body: white noise, in which a rhythm is harder to tell from vibration


def rhythm(methods: Mapping[str, Method], part: str) -> dict[str, dict[str, float]]:
    """Case -> method -> the share that is kept of a rhythmic movement: with a jump rope, of an arm, of the legs; clean
    ("rope 2 Hz") and behind noise ("rope 2 Hz, noise").

    What is periodic and common to the body is easily taken for a shaking camera.
    """
    results = {}
    clip = generated(part, 8.0, 1)[0]
    points = clip.at(30.0, 0.0, 8.0)
    time_ = np.arange(len(points)) / 30.0
    noise = SHAKE * body_size(points) * seeded("rhythm").standard_normal(points.shape)
    for kind, (axis, joints) in RHYTHMS.items():
        for beat in BEATS:
            wave = np.zeros_like(points)
            for joint, share in joints.items():
                wave[:, joint, axis] = share * SWING * body_size(points) * np.sin(2 * np.pi * beat * time_)
            inner = slice(30, -30)
            for name_of, seen in (
                (f"{kind} {beat:g} Hz", points + wave),
                (f"{kind} {beat:g} Hz, noise", points + wave + noise),
            ):
                results[name_of] = {
                    name: float(((run(seen, 30.0) - points) * wave)[inner].sum() / (wave[inner] ** 2).sum())
                    for name, run in methods.items()
                }
    return results


# Paths of one joint alone: mm a frame, and mm a frame^2.
PATHS: Mapping[str, tuple[float, float]] = {"rest": (0.0, 0.0), "line": (10.0, 0.0), "parabola": (10.0, -0.25)}
JITTER = 5.0  # mm, white


def alone(methods: Mapping[str, Method], quick: bool = False) -> dict[str, dict[str, float]]:
    """Case ("line, 40 frames") -> method -> the share that is left of the jitter (mean second difference) of one joint
    alone on a plain path, as the translation of a body may be.

    Nothing tells such a joint's noise from motion but that the path is plain. One kept as it is looks well in means
    over many cases, and ill to whom it belongs.
    """
    results = {}
    for kind, (speed, bend) in PATHS.items():
        for frames in (40,) if quick else (20, 40, 80):
            time_ = np.arange(frames)[:, None, None]
            noise = JITTER * seeded("alone", kind, frames).standard_normal((5, frames, 1, 3))
            recordings = [speed * time_ + bend * time_**2 + one for one in noise]
            before = sum(np.abs(np.diff(points, 2, axis=0)).mean() for points in recordings)
            results[f"{kind}, {frames} frames"] = {
                name: float(sum(np.abs(np.diff(run(points, 30.0), 2, axis=0)).mean() for points in recordings) / before)
                for name, run in methods.items()
            }
    return results


def seconds_a_frame(run: Method, repeats: int = 5) -> float:
    """CPU seconds a frame of 17 joints x 3, 1000 frames at once, the fastest of a few."""
    points = seeded("time").standard_normal((1000, 17, 3)).cumsum(axis=0)
    best = np.inf
    for _ in range(repeats):
        start = time.process_time()
        run(points, 30.0)
        best = min(best, time.process_time() - start)
    return best / len(points)


def _geometric(values: Sequence[float]) -> float:
    return float(np.exp(np.mean(np.log(values)))) if values else float("nan")


def summary(
    methods: Mapping[str, Method],
    noisy: Mapping[str, Any],
    still: Mapping[str, Any],
    rhythms: Mapping[str, Any],
    single: Mapping[str, Any],
) -> dict[str, Any]:
    """One row a method over all cases."""
    rows = {}
    for name in methods:
        ratio: dict[str, list[float]] = {key: [] for key in ("mpjpe", "accel", "velocity", "kept")}
        for case in noisy.values():
            for key, values in ratio.items():
                values.append(case[name][key] / case["input"][key])
        worse = [
            [case[name][key] > MARGIN * case[REFERENCE][key] for key in ("mpjpe", "accel")] for case in noisy.values()
        ]
        rows[name] = {
            "mpjpe": _geometric(ratio["mpjpe"]),
            "accel": _geometric(ratio["accel"]),
            "velocity": _geometric(ratio["velocity"]),
            "kept": float(np.mean(ratio["kept"])),
            "worse_than_input": int(np.sum(np.array(ratio["mpjpe"]) > MARGIN)),
            "worse_than_rts": sum(mpjpe for mpjpe, _ in worse),
            "worse_than_rts_in_both": sum(mpjpe and accel for mpjpe, accel in worse),
            "clean": {key: case[name]["mpjpe"] for key, case in still.items()},
            "rhythm": min(case[name] for key, case in rhythms.items() if "noise" not in key),
            "rhythm_in_noise": min(case[name] for key, case in rhythms.items() if "noise" in key),
            "alone": max(case[name] for case in single.values()),
            "us_a_frame": 1e6 * seconds_a_frame(methods[name]),
        }
    return rows


# ---------------------------------------------------------------- real pairs
@dataclass(frozen=True)
class Pairs:
    """Real estimates with their truth, in metric space, items of one file and part."""

    name: str
    unit: str
    items: list[tuple[np.ndarray, np.ndarray, float]]
    root: tuple[int, ...] = ()  # joints whose mean is subtracted after smoothing


def sample_pairs() -> list[Pairs]:
    """One trial of Pose2Sim's demo in four views, by three estimators; see read_pairs for what its reference is."""
    pairs, fps = read_pairs()
    return [
        Pairs(f"pose2sim {estimator}", "px", [(points, truth, fps) for points, truth in views])
        for estimator, views in pairs.items()
    ]


def real_pairs(folder: Path | None, part: str) -> list[Pairs]:
    """Pairs below `folder`: pair files (.npz with object arrays detected, groundtruth, subject), and folders of the
    official layout named DATASET_ESTIMATOR_REP. Points in metres become millimetres. The report has the sample's too.
    """
    found = sample_pairs() if part == "report" else []
    for path in sorted(folder.rglob("*.npz")) if folder else ():
        with np.load(path, allow_pickle=False) as file:
            if {"detected", "groundtruth", "subject"} <= set(file.files):
                found.append(_pair_file(path, part))
    for path in sorted(folder.rglob("detected")) if folder else ():
        name = re.fullmatch(r"(.+)_([^_]+)_(3D|2D)", path.parent.name)
        if name and path.is_dir() and (path.parent / "groundtruth").is_dir():
            found.append(_official(path.parent.parent, name[1], name[2], name[3], part))
    return [pairs for pairs in found if pairs.items]


def _pair_file(path: Path, part: str) -> Pairs:
    from lib.utils.unpickle import Npz

    with Npz(path) as file:
        detected, truth = file["detected"], file["groundtruth"]
        if "groundtruth_offset" in file:  # with one constant offset a joint and recording taken out
            truth = file["groundtruth_offset"]
        subject = [int(s) for s in file["subject"]]
        times = list(file["timestamps"]) if "timestamps" in file else None
        fps = float(file["fps"]) if "fps" in file else 30.0
    dims = detected[0].shape[-1]
    scale = 1000.0 if dims == 3 else 1.0
    items = [
        (
            scale * detected[i].astype(np.float64),
            scale * truth[i].astype(np.float64),
            fps if times is None else float(1 / np.median(np.diff(times[i]))),
        )
        for i, keep in enumerate(of_part(subject, part))
        if keep
    ]
    return Pairs(path.stem.removesuffix("_pairs"), "mm" if dims == 3 else "px", items)


def _official(base: Path, dataset: str, estimator: str, representation: str, part: str) -> Pairs:
    people, items, root = official_sequences(base, dataset, estimator, representation)
    keep = of_part([i if person is None else person for i, person in people], part)
    chosen = [item for item, yes in zip(items, keep, strict=True) if yes]
    unit = "mm" if representation == "3D" else "px"
    return Pairs(f"{dataset}_{estimator}_{representation}", unit, chosen, root)


def official_sequences(
    base: Path, dataset: str, estimator: str, representation: str
) -> tuple[list[tuple[int, int | None]], list[tuple[np.ndarray, np.ndarray, float]], tuple[int, ...]]:
    """The sequences of both phases of a dataset in the official layout.

    Returns:
        of each sequence its number in its file and its person's (None where its name has none); estimate and truth
        (T, K, D) in mm or pixels and frames a second; the joints whose mean is the root, in 3D.
    """
    from lib.dataset.poses import load_poses, pose_files

    people: list[tuple[int, int | None]] = []
    items: list[tuple[np.ndarray, np.ndarray, float]] = []
    root: tuple[int, ...] = ()
    for phase in ("train", "test"):
        if not all(p.is_file() for p in pose_files(base, dataset, estimator, representation, phase)):
            continue
        data = load_poses(base, dataset, estimator, representation, phase)
        dims = data.facts.dims
        if representation == "3D":
            root = tuple(data.facts.root)
        for i in range(data.sequences):
            rows, scale, shift_ = data.slice(i), data.scale[i].numpy(), data.shift[i].numpy()
            detected, truth = (
                x[rows].numpy().astype(np.float64).reshape(-1, data.facts.joints, dims) * scale + shift_
                for x in (data.detected, data.groundtruth)
            )
            person = re.search(r"s(\d+)", data.names[i], re.IGNORECASE)
            people.append((i, int(person[1]) if person else None))
            items.append((detected, truth, data.facts.fps or 30.0))
    return people, items, root


# ---------------------------------------------------------------- output
def table(rows: Sequence[Sequence[str]]) -> str:
    """Left-aligned first column, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
        lines.append("  ".join([row[0].ljust(widths[0]), *cells[1:]]))
    return "\n".join(lines)


def report(result: Mapping[str, Any], details: bool) -> str:
    methods = list(result["summary"])
    noisy = result["noisy"]
    head = ["method", "MPJPE", "Accel", "velocity", "kept %", "> input", "> rts", "> rts both"]
    head += [f"clean {name}" for name in result["clean"]] + ["rhythm %", "in noise %", "alone %", "us/frame"]
    rows = [head]
    for name, row in result["summary"].items():
        rows.append(
            [name, *(f"{row[key]:.3f}" for key in ("mpjpe", "accel", "velocity")), f"{100 * row['kept']:.1f}"]
            + [str(row[key]) for key in ("worse_than_input", "worse_than_rts", "worse_than_rts_in_both")]
            + [f"{value:.2f}" for value in row["clean"].values()]
            + [f"{100 * row[key]:.1f}" for key in ("rhythm", "rhythm_in_noise", "alone")]
            + [f"{row['us_a_frame']:.1f}"]
        )
    text = f"{len(noisy)} cases of made errors, part {result['part']}: geometric means of method / input; kept: of the "
    text += (
        "fastest 1 % of the\nmotion, relative to the input; clean: mm added; rhythm: least kept of a movement of "
        "1.5 to 3 Hz\n(jump rope, arm, legs), clean and in noise; alone: most that is left of the jitter of one joint "
        "on a\nplain path; us/frame: CPU time for 17 joints x 3\n\n"
    )
    parts = [text + table(rows)]
    if details:
        lines = [["case", "input", *methods[1:]]]
        for case, values in noisy.items():
            ratios = [f"{values[name]['mpjpe'] / values['input']['mpjpe']:.2f}" for name in methods[1:]]
            lines.append([case, f"{values['input']['mpjpe']:.1f}", *ratios])
        parts.append("MPJPE of the input (mm or px) and method / input\n\n" + table(lines))
    for name, pairs in result["pairs"].items():
        lines = [
            [f"{name}, {pairs['frames']} frames", f"MPJPE {pairs['unit']}", "/ input", "Accel", "/ input", "kept %"]
        ]
        first = pairs["methods"]["input"]
        for method_name, values in pairs["methods"].items():
            cells = [f"{v:.3f}" for key in ("mpjpe", "accel") for v in (values[key], values[key] / first[key])]
            lines.append([method_name, *cells, f"{100 * values['kept']:.1f}"])
        parts.append(table(lines))
    return "\n\n".join(parts)


def report_short(
    methods: Mapping[str, Method], data: Path | None, part: str, quick: bool, shown: tuple[slice, slice]
) -> str:
    """Of short recordings or single joints, geometric means of method / input."""
    everything = {"input": method("input"), **methods}
    noisy = made_errors(everything, clips_of(data, part, quick), part, quick, shown)
    rows = [["method", "MPJPE", "Accel"]]
    for name in everything:
        ratios = [[row[name][key] / row["input"][key] for row in noisy.values()] for key in ("mpjpe", "accel")]
        rows.append([name, *(f"{_geometric(values):.3f}" for values in ratios)])
    return table(rows)


def clips_of(data: Path | None, part: str, quick: bool) -> list[Clip]:
    return [*generated(part, 3.0 if quick else 10.0, 1 if quick else 3), *recorded(data, part)]


def run(methods: Mapping[str, Method], data: Path | None, part: str = "report", quick: bool = False) -> dict[str, Any]:
    """Measure everything; `methods` may be any callables, of which "input" and "rts" are added where not among them."""
    everything = {"input": method("input"), REFERENCE: method(REFERENCE), **methods}
    clips = clips_of(data, part, quick)
    noisy = made_errors(everything, clips, part, quick)
    still = clean(everything, clips, part, quick)
    rhythms = rhythm(everything, part)
    single = alone(everything, quick)
    most = 8 if quick else 150  # sequences of a file of pairs, evenly over it
    return {
        "part": part,
        "noisy": noisy,
        "clean": still,
        "rhythm": rhythms,
        "alone": single,
        "summary": summary(everything, noisy, still, rhythms, single),
        "pairs": {
            pairs.name: {
                "unit": pairs.unit,
                "frames": sum(len(points) for points, _, _ in pairs.items),
                "methods": measure(everything, pairs.items[:: max(1, len(pairs.items) // most)], pairs.root),
            }
            for pairs in real_pairs(data, part)
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder to search for clean motion and pairs")
    parser.add_argument("--methods", default=",".join(DEFAULT_METHODS), help="comma-separated; see above")
    parser.add_argument("--part", choices=PARTS, default="report")
    parser.add_argument("--quick", action="store_true", help="few cases and short ones")
    parser.add_argument("--frames", type=int, help="only the cases of made errors, cut to so many frames")
    parser.add_argument("--joint", type=int, help="only those, of one joint alone, which has a number from 0 on")
    parser.add_argument("--details", action="store_true", help="every case")
    parser.add_argument("--json", type=Path, help="write all figures there")
    args = parser.parse_args()
    try:
        if args.data is not None and not args.data.is_dir():
            raise SmoothNetError(f"the data folder {args.data} does not exist")
        methods = {name.strip(): method(name.strip()) for name in args.methods.split(",") if name.strip()}
        if args.frames is not None or args.joint is not None:
            joints = slice(None) if args.joint is None else slice(args.joint, args.joint + 1)
            print(report_short(methods, args.data, args.part, args.quick, (slice(args.frames), joints)))
            return
        result = run(methods, args.data, args.part, args.quick)
        print(report(result, args.details))
        if args.json:
            write_json(args.json, result)
    except SmoothNetError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
