# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""What to look at after a run: report.html, report.json, and a player for each of the most changed files.

Made from the manifest alone, row by row, so that a million of them take no memory.
"""

from __future__ import annotations

import html
import json
import logging
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from ..inference.options import SmoothingOptions
from ..utils.files import printable, write_text
from .manifest import Manifest
from .storage import fetched
from .work import one_thread, smoothing_for

SHOWN = 20  # rows of each table, and players
WORDS = 300  # letters of an error in the page; the manifest has all of it
PLAYED = 900  # frames of a player, so that it stays small
BINS = np.logspace(-6, 2, 81)  # of histograms: in sizes of the body; ten a decade
_CHANGE = "moved / size_of_body"
_STATES = {"todo": "not reached", "done": "in part"}  # as the page says it
_DONE = "AND state = 'done'"


def write_report(
    book: Manifest, options: SmoothingOptions, start: Callable[..., Any], jobs: int, changed: bool = True
) -> Path:
    """Write the report of the run's inputs beside the manifest; gives the page.

    Args:
        start, jobs: an engine, see engines.py, which makes the players.
        changed: whether anything was done; if not, a report that is there stays.
    """
    folder = book.path.parent
    target = folder / "report.html"
    if not changed and target.is_file():
        return target
    facts = gather(book)
    facts["players"] = _write_players(book, options, start, jobs, folder / "players")
    write_text(folder / "report.json", json.dumps(facts, indent=2) + "\n")
    write_text(target, page(facts))
    return target


# ---------------------------------------------------------------- numbers


def gather(book: Manifest) -> dict[str, Any]:
    """All that the report says, as JSON values."""
    ((done, sequences, frames, people, hours, seconds, size),) = book.select(
        "count(*), coalesce(sum(sequences), 0), coalesce(sum(frames), 0), coalesce(sum(people), 0), "
        "coalesce(sum(frames / coalesce(fps, 30.0)), 0) / 3600, coalesce(sum(seconds), 0), coalesce(sum(out_size), 0)",
        _DONE,
    )
    counts = {state: files for state, (files, _) in book.counts().items()}
    ((warned, bad, rateless),) = book.select(
        "coalesce(sum(warning IS NOT NULL), 0), coalesce(sum(bad > 0), 0), coalesce(sum(fps IS NULL), 0)", _DONE
    )
    return {
        "run": book.facts(),
        "totals": {
            "files": sum(counts.values()), "done": done, "failed": counts.get("failed", 0),
            "not_reached": counts.get("todo", 0), "sequences": sequences, "frames": frames, "people": people,
            "hours_of_motion": hours, "seconds_of_work": seconds, "bytes_written": size,
            "with_warning": warned, "with_bad_sequences": bad, "without_frame_rate": rateless,
        },
        "histograms": {
            "bins": BINS.tolist(),
            **{
                name: histogram(value for (value,) in book.select(f"{what} / size_of_body", f"{_DONE} AND {what} >= 0"))
                for name, what in (
                    ("jitter_before", "jitter_before"), ("jitter_after", "jitter_after"), ("displacement", "moved")
                )
            },
        },
        "most_changed": _rows(book, f"name, {_CHANGE}, moved, moved_most, warning",
                              f"{_DONE} AND moved >= 0 ORDER BY {_CHANGE} DESC, id"),
        "least_calmed": _rows(book, "name, jitter_after / jitter_before, jitter_before, jitter_after",
                              f"{_DONE} AND jitter_before > 0 ORDER BY jitter_after / jitter_before DESC, id"),
        "slowest": _rows(book, "name, seconds, frames", f"{_DONE} ORDER BY seconds DESC, id"),
        "failed": _rows(book, "name, state, error", "AND (state <> 'done' OR bad > 0) AND error IS NOT NULL "
                        "ORDER BY state, id"),
    }  # fmt: skip


def histogram(values: Iterable[float | None]) -> list[int]:
    """Counts in BINS; what lies outside counts in the first or last bin."""
    counts = np.zeros(len(BINS) - 1, np.int64)
    known = (value for value in values if value is not None)
    while chunk := list(islice(known, 10_000)):
        places = np.searchsorted(BINS, chunk, side="right") - 1
        counts += np.bincount(np.clip(places, 0, len(counts) - 1), minlength=len(counts))
    return counts.tolist()


def _rows(book: Manifest, what: str, rest: str) -> list[list[Any]]:
    rows = book.select(what, f"{rest} LIMIT {SHOWN}")
    return [[printable(value) if isinstance(value, str) else value for value in row] for row in rows]


# ---------------------------------------------------------------- players


def player(source: str, options: SmoothingOptions) -> str:
    """A page that plays a file before and after, the first PLAYED frames of it; runs in a worker."""
    from ..visualize.page import page as player_page
    from ..visualize.sources import recorded_clip

    logging.getLogger(recorded_clip.__module__).setLevel(logging.ERROR)  # what it would say, the page shows
    smoothing = smoothing_for(options)
    with fetched(source) as path, one_thread():
        return player_page(recorded_clip(path, smoothing, frames=(0, PLAYED)))


def _write_players(
    book: Manifest, options: SmoothingOptions, start: Callable[..., Any], jobs: int, folder: Path
) -> dict[str, dict[str, str]]:
    """A player for each of the most changed files: name -> its page, or why there is none. Those of before go."""
    rows = list(book.select("id, name, source, out_sha256",
                            f"{_DONE} AND kind IN ('file', 'frames') AND moved >= 0 ORDER BY {_CHANGE} DESC, id "
                            f"LIMIT {SHOWN}"))  # fmt: skip
    pages = {name: folder / f"{number}-{sha[:8]}.html" for number, name, _, sha in rows}
    missing = [(name, source) for _, name, source, _ in rows if not pages[name].is_file()]
    found: dict[str, dict[str, str]] = {}
    if folder.is_dir():
        for old in set(folder.glob("*-*.html")) - set(pages.values()):
            old.unlink()
    if missing:
        folder.mkdir(exist_ok=True)
        with start(jobs, None, options) as engine:
            for name, source in missing:
                try:
                    write_text(pages[name], engine.submit(player, source, options).result())
                except Exception as error:  # one-dimensional points, bodies without SMPL, a package that is missing ...
                    found[printable(name)] = {"none": printable(str(error))}
    return {printable(name): {"page": f"players/{path.name}"} for name, path in pages.items() if path.is_file()} | found


# ---------------------------------------------------------------- the page


def page(facts: dict[str, Any]) -> str:
    """The report as one HTML page that needs no other file but the players that it links to."""
    template = resources.files(__package__).joinpath("report.html").read_text(encoding="utf-8")
    totals, bins = facts["totals"], facts["histograms"]
    tiles = [
        ("files", f"{totals['files']:,}"), ("done", f"{totals['done']:,}"), ("failed", f"{totals['failed']:,}"),
        ("not reached", f"{totals['not_reached']:,}"), ("frames", f"{totals['frames']:,}"),
        ("hours of motion", f"{totals['hours_of_motion']:,.2f}"), ("people", f"{totals['people']:,}"),
        ("hours of work", f"{totals['seconds_of_work'] / 3600:,.2f}"),
        ("with a warning", f"{totals['with_warning']:,}"),
    ]  # fmt: skip
    parts = {
        "TITLE": html.escape(printable(facts["run"]["out"])),
        "TILES": "".join(f"<div><b>{value}</b><span>{name}</span></div>" for name, value in tiles),
        "JITTER": _chart(bins, {"before": "jitter_before", "after": "jitter_after"}, "jitter per frame²"),
        "MOVED": _chart(bins, {"moved": "displacement"}, "displacement (RMS)"),
        "CHANGED": _table(
            ("file", "moved, % of body", "moved (RMS)", "at most", ""),
            (
                [_link(name, facts["players"]), _percent(share), _number(moved), _number(most), html.escape(note or "")]
                for name, share, moved, most, note in facts["most_changed"]
            ),
        ),
        "WORST": _table(
            ("file", "jitter left, %", "before", "after"),
            ([html.escape(name), _percent(left), _number(before), _number(after)]
             for name, left, before, after in facts["least_calmed"]),
        ),
        "SLOWEST": _table(
            ("file", "seconds", "frames"),
            ([html.escape(name), f"{seconds:.2f}", f"{frames:,}"] for name, seconds, frames in facts["slowest"]),
        ),
        "FAILED": _table(
            ("file", "", "why"),
            ([html.escape(name), _STATES.get(state, state), html.escape(error[:WORDS])]
             for name, state, error in facts["failed"]),
        ),
        "MORE": f"{min(SHOWN, len(facts['failed']))} of {totals['failed'] + totals['not_reached']}",
        "SETTINGS": html.escape(
            ", ".join(
                f"{k} {v}" for k, v in json.loads(facts["run"]["words"]).items() if v is not None and v is not False
            )
            + f"; weights {facts['run']['weights'] or 'none'} ({facts['run']['weights_sha256'][:12]}); "
            f"version {facts['run']['version']}; engine {facts['run']['engine']}"
        ),
    }  # fmt: skip
    return "".join(parts.get(part, part) if i % 2 else part for i, part in enumerate(template.split("@")))


def _link(name: str, players: dict[str, dict[str, str]]) -> str:
    known = players.get(name, {})
    shown = html.escape(name)
    if "page" in known:
        return f'<a href="{html.escape(known["page"])}">{shown}</a>'
    return f'<span title="{html.escape(known.get("none", "no player for shards"))}">{shown}</span>'


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.3g}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    if not body:
        return "<p>none</p>"
    return f"<table><tr>{''.join(f'<th>{name}</th>' for name in head)}</tr>{body}</table>"


def _chart(bins: dict[str, list], series: dict[str, str], label: str) -> str:
    """Histograms over one another as an SVG; the axis is logarithmic, in % of the body's size."""
    counts = {name: np.array(bins[key]) for name, key in series.items()}
    used = np.flatnonzero(sum(counts.values()))
    if not len(used):
        return "<p>none</p>"
    first, last = max(used[0] - 1, 0), min(used[-1] + 2, len(BINS) - 1)
    width, height, high = 560.0, 180.0, max(int(c.max()) for c in counts.values())
    step = width / (last - first)
    shapes = []
    for name, values in counts.items():
        path = "".join(
            f"L{(i - first) * step:.1f} {height * (1 - values[i] / high):.1f}h{step:.1f}" for i in range(first, last)
        )
        shapes.append(f'<path class="{name}" d="M0 {height:.0f}{path}V{height:.0f}Z"><title>{name}</title></path>')
    for place, text in _ticks(first, last):
        shapes.append(f'<text x="{place * step:.1f}" y="{height + 16:.0f}">{text}</text>')
    key = " ".join(f'<span class="key {name}">{name}</span>' for name in counts) if len(counts) > 1 else ""
    return (
        f"<figure><figcaption>{label}, % of the body's size; the highest bar is {high:,} files {key}</figcaption>"
        f'<svg viewBox="0 0 {width:.0f} {height + 22:.0f}" role="img" aria-label="{label}">{"".join(shapes)}</svg>'
        "</figure>"
    )


def _ticks(first: int, last: int) -> Iterator[tuple[int, str]]:
    for i in range(first, last + 1):
        power = math.log10(100 * BINS[i])
        if abs(power - round(power)) < 1e-6:
            yield i - first, f"{10.0 ** round(power):g}"
