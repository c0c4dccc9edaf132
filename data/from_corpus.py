# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Training data from your own estimator: pairs of files, estimated and true, become a dataset in the official layout.

    python data/from_corpus.py ESTIMATED TRUE --dataset mine --estimator est --output data/poses

ESTIMATED and TRUE are folders (or files) in any form that smooth_smoothnet.py reads; files of the same name below them
are a pair, whatever their endings. Afterwards: --dataset_name mine --estimator est --body_representation 3D.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run as a script, only this file's own folder is on the path

from lib.commands.arguments import run_main  # noqa: E402
from lib.corpus.inputs import find_inputs  # noqa: E402
from lib.dataset.poses import refuse_existing, write_poses  # noqa: E402
from lib.formats import read_recording  # noqa: E402
from lib.formats.recording import Recording, Track  # noqa: E402
from lib.utils.errors import SmoothNetError  # noqa: E402
from lib.utils.files import printable  # noqa: E402

METRES = {"m": 1.0, "cm": 0.01, "mm": 0.001}
LAGS = (1, 2, 4, 8, 16)  # frames, of the error with itself
SHIFTS = 10  # frames that the two files of a pair may be apart for it to be found out
SPAN = 5  # frames between the two points of a movement, which noise hides less than a speed
BETTER = 0.8  # see shift
LEAST = 8  # frames of a sequence


@dataclass(frozen=True)
class Pair:
    """One person in one pair of files, the frames that both have; (T, K, dims) in metres or pixels, NaN = missing."""

    name: str
    estimated: np.ndarray
    true: np.ndarray


def pairs_of(estimated: str, true: str) -> tuple[list[tuple[str, str, str]], list[str]]:
    """(name, estimated file, true file) of all that have both, and the names of those that have one."""
    sides = []
    for given in (estimated, true):
        found: dict[str, str] = {}
        for item in find_inputs([given], "/nonexistent"):
            name = str(PurePosixPath(item.name).with_suffix("")) if item.kind == "file" else item.name
            if Path(given).is_file():
                name = "sequence"
            if name in found:
                raise SmoothNetError(f"{found[name]} and {item.source} have one name; which is the pair's?")
            found[name] = item.source
        sides.append(found)
    both = sorted(set(sides[0]) & set(sides[1]))
    if not both:
        raise SmoothNetError(f"no file below {estimated} has the name of one below {true}")
    return [(name, sides[0][name], sides[1][name]) for name in both], sorted(set(sides[0]) ^ set(sides[1]))


def read_pairs(name: str, estimated: str, true: str, scales: Sequence[float], reading: dict) -> list[Pair]:
    """The people of a pair of files.

    Raises:
        SmoothNetError: a file cannot be read; people, joints or frames do not match.
    """
    sides = []
    for path, scale in zip((estimated, true), scales, strict=True):
        tracks = {str(t.id): t for t in _poses(read_recording(path, **reading), reading["dims"])}
        sides.append({key: (track.start, track.points * scale) for key, track in tracks.items()})
    one, other = sides
    if len(one) == len(other) == 1:  # whatever they are called
        other = dict(zip(one, other.values(), strict=True))
    if set(one) != set(other):
        raise SmoothNetError(f"{estimated} has the people {', '.join(one)}, {true} has {', '.join(other)}")
    found = []
    for key, (start, points) in one.items():
        true_start, true_points = other[key]
        if points.shape[1] != true_points.shape[1]:
            raise SmoothNetError(f"{estimated} has {points.shape[1]} joints, {true} has {true_points.shape[1]}")
        first = max(start, true_start)
        last = min(start + len(points), true_start + len(true_points))
        if last - first < LEAST:
            raise SmoothNetError(f"{estimated} and {true} share {max(last - first, 0)} frames; {LEAST} are needed")
        a, b = points[first - start : last - start], true_points[first - true_start : last - true_start]
        found.append(Pair(name if len(one) == 1 else f"{name}#{key}", a, b))
    return found


def _poses(recording: Recording, dims: int) -> list[Track]:
    """The tracks of the part with most points of that many dimensions."""
    counts: dict[str, int] = {}
    for track in recording.tracks:
        if track.kind == "points" and track.points.shape[2] == dims:
            counts[track.part] = counts.get(track.part, 0) + track.points.size
    if not counts:
        raise SmoothNetError(f"{recording.path} has no points in {dims}D")
    part = max(counts, key=lambda name: counts[name])
    return [t for t in recording.tracks if t.part == part and t.points.shape[2] == dims]


# ---------------------------------------------------------------- what is wrong with a pair


def shift(pair: Pair) -> int:
    """By how many frames the estimate is late (below 0: early), by how far joints move in SPAN frames; 0 if by none.

    Movements do not depend on where the two have their origin. A shift counts only if it leaves less than BETTER of
    the RMS difference of movements without it.
    """
    span = min(SPAN, len(pair.true) // 3)
    speeds = [(x[span:] - x[:-span]).reshape(len(x) - span, -1) for x in (pair.estimated, pair.true)]
    most = min(SHIFTS, len(speeds[0]) // 3)

    def difference(late: int) -> float:
        a = speeds[0][max(late, 0) : len(speeds[0]) + min(late, 0)]
        b = speeds[1][max(-late, 0) : len(speeds[1]) + min(-late, 0)]
        square = (a - b) ** 2
        return float(np.nanmean(square)) if np.isfinite(square).any() else np.inf

    left = {late: difference(late) for late in range(-most, most + 1)}
    best = min(left, key=lambda late: (left[late], abs(late)))
    return best if left[best] < BETTER**2 * left[0] else 0


# ---------------------------------------------------------------- how large the error is, and how it hangs together


@dataclass
class Errors:
    """Sums over pairs."""

    position: float = 0.0
    relative: float = 0.0
    points: int = 0
    relative_points: int = 0
    acceleration: float = 0.0
    accelerations: int = 0

    def __post_init__(self) -> None:
        self.products = {lag: [0.0, 0.0] for lag in LAGS}

    def add(self, pair: Pair, root: int) -> None:
        """Count one pair; see text."""
        error = pair.estimated - pair.true
        for name, values, count in (
            ("position", error, "points"),
            ("relative", error - error[:, root : root + 1], "relative_points"),
            ("acceleration", np.diff(error, n=2, axis=0), "accelerations"),
        ):
            size = np.linalg.norm(values, axis=-1)
            setattr(self, name, getattr(self, name) + float(np.nansum(size)))
            setattr(self, count, getattr(self, count) + int(np.isfinite(size).sum()))
        moving = error - np.nanmean(error, axis=0, keepdims=True)  # a constant offset is no noise
        for lag, sums in self.products.items():
            now, later = moving[:-lag], moving[lag:]
            there = np.isfinite(now) & np.isfinite(later)
            sums[0] += float((now[there] * later[there]).sum())
            sums[1] += float((now[there] ** 2 + later[there] ** 2).sum() / 2)

    def autocorrelation(self) -> dict[int, float]:
        """Lag in frames -> correlation of the error, less each coordinate's mean, with itself so much later."""
        return {lag: product / square for lag, (product, square) in self.products.items() if square > 0}

    def text(self, dims: int) -> str:
        """Mean distance of points, as they are and from the root, of accelerations, and the autocorrelation."""
        scale, unit = (1000.0, "mm") if dims == 3 else (1.0, "px")
        means = [
            scale * total / max(count, 1)
            for total, count in (
                (self.position, self.points),
                (self.relative, self.relative_points),
                (self.acceleration, self.accelerations),
            )
        ]
        lags = ", ".join(f"{value:.2f} at {lag}" for lag, value in self.autocorrelation().items())
        return (
            f"error {means[0]:.2f} {unit} ({means[1]:.2f} from the root), acceleration {means[2]:.2f} {unit}/frame^2; "
            f"autocorrelation {lags} frames"
        )


def split(names: Sequence[str], person: str | None, share: float, seed: int) -> list[str]:
    """ "train" or "test" for each: nobody, and no file, is in both.

    Args:
        person: pattern whose first group (or all of it) in the name says who it is; None: the first folder if there
            are several, else each file by itself. People of one file go together.
        share: of people, that are for testing; at least one.

    Raises:
        SmoothNetError: there is one person only, or a name that the pattern does not fit.
    """
    files = [name.partition("#")[0] for name in names]
    if person is not None:
        found = [re.search(person, name) for name in files]
        if None in found:
            raise SmoothNetError(f"--person {person!r} does not fit {files[found.index(None)]}")
        who = [match[1] if match.groups() else match[0] for match in found if match]
    else:
        who = [name.split("/")[0] for name in files]
        if len(set(who)) == 1:
            who = files
    people = sorted(set(who))
    if len(people) < 2:
        raise SmoothNetError(f"all pairs are of {people[0]}; training and testing need one each (see --person)")
    order = np.random.default_rng(seed).permutation(len(people))
    test = {people[i] for i in order[: max(1, round(share * len(people)))]} if share > 0 else set()
    if len(test) == len(people):
        raise SmoothNetError("--test_share leaves nobody to train on")
    return ["test" if name in test else "train" for name in who]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("estimated", help="folder with the estimator's files, or one file")
    add("true", help="folder with the ground truth, or one file")
    add("--output", type=Path, default=ROOT / "data" / "poses", help="folder of the datasets (default: data/poses)")
    add("--dataset", required=True, help="name of the dataset")
    add("--estimator", required=True, help="name of the estimator")
    add("--body_representation", choices=("3D", "2D"), default="3D", help="default: 3D")
    add("--unit", choices=sorted(METRES), help="of 3D files; without it the likeliest, which is said")
    add("--person", help="regular expression: its first group in a file's name says who it is, as (S\\d+)")
    add("--test_share", type=float, default=0.2, help="share of people, or files, for testing (0.2)")
    add("--seed", type=int, default=0, help="which (0)")
    add("--root", type=int, default=0, help="root joint, for the error from the root (0)")
    add("--input_format", "--format", help="as for smooth_smoothnet.py")
    add("--layout", help="as for smooth_smoothnet.py")
    add("--keep_shifted", action="store_true", help="also pairs whose files are some frames apart")
    add("--force", action="store_true", help="replace a dataset of that name")
    args = parser.parse_args(argv)
    if not re.fullmatch(r"[A-Za-z0-9-]+(_[A-Za-z0-9-]+)*", f"{args.dataset}_{args.estimator}"):
        raise SmoothNetError("--dataset and --estimator must be of letters, digits, - and _")
    if not 0 < args.test_share < 1:
        raise SmoothNetError(f"--test_share must be between 0 and 1, not {args.test_share}")
    if not args.force:
        refuse_existing(args.output, args.dataset, args.estimator, args.body_representation)
    dims = int(args.body_representation[0])
    reading = {"format": args.input_format, "layout": args.layout, "dims": dims}
    files, alone = pairs_of(args.estimated, args.true)
    for name in alone[:5]:
        print(printable(f"left out: {name} is on one side only"))
    if len(alone) > 5:
        print(f"left out: {len(alone) - 5} more that are on one side only")
    pairs: list[Pair] = []
    for name, estimated, true in files:
        try:
            scales = [scale_of(path, args.unit, reading) for path in (estimated, true)]
            found = read_pairs(name, estimated, true, scales, reading)
        except SmoothNetError as error:
            print(printable(f"left out: {error}"))
            continue
        for pair in found:
            late = shift(pair)
            if late and not args.keep_shifted:
                how = f"{abs(late)} frames {'late' if late > 0 else 'early'}"
                print(printable(f"left out: {pair.name}: the estimate is {how} (--keep_shifted takes it all the same)"))
            else:
                pairs.append(pair)
    if not pairs:
        raise SmoothNetError("no pair is left")
    joints = {pair.true.shape[1] for pair in pairs}
    if len(joints) > 1:
        raise SmoothNetError(f"files have {' and '.join(map(str, sorted(joints)))} joints; make a dataset of each")
    if not 0 <= args.root < min(joints):
        raise SmoothNetError(f"--root must be from 0 to {min(joints) - 1}, not {args.root}")
    phases = split([pair.name for pair in pairs], args.person, args.test_share, args.seed)
    for phase in ("train", "test"):
        chosen = [pair for pair, which in zip(pairs, phases, strict=True) if which == phase]
        errors = Errors()
        for pair in chosen:
            errors.add(pair, args.root)
        images = [[f"{printable(p.name)}/{t:06}" for t in range(len(p.true))] for p in chosen]
        flat = [[points.reshape(len(points), -1) for points in side]
                for side in ([p.true for p in chosen], [p.estimated for p in chosen])]  # fmt: skip
        written = write_poses(args.output, args.dataset, args.estimator, args.body_representation, phase, images, *flat)
        frames = sum(len(p.true) for p in chosen)
        print(f"{phase}: {len(chosen)} sequences, {frames} frames; {errors.text(dims)}")
        for path in written:
            print(f"  {path}")
    return 0


def scale_of(path: str, unit: str | None, reading: dict) -> float:
    """What makes metres of a file's numbers; 1 for pixels.

    Raises:
        SmoothNetError: its unit cannot be told.
    """
    if reading["dims"] == 2:
        return 1.0
    if unit is None:
        from lib.visualize.sources import guess_unit

        track = max(_poses(read_recording(path, **reading), 3), key=lambda t: t.points.size)
        unit = guess_unit(track.points)
        if unit not in METRES:
            raise SmoothNetError(f"{path} does not tell its unit; say it with --unit")
    return METRES[unit]


if __name__ == "__main__":
    sys.exit(run_main(main))
