# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Results as rows and tables."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path
from typing import Any

from ..dataset.poses import PoseData
from ..utils.errors import SmoothNetError
from ..utils.files import write_text
from .metrics import METRICS, columns, metrics_of
from .pck import PARTS
from .published import TECORIGIN, published_rows
from .summary import SequenceResult, summarise

METHODS = {"input": "input", "smoothnet": "SmoothNet"}


def result_row(data: PoseData, window: int, checkpoint: str, metrics: dict[str, Any]) -> dict[str, Any]:
    """One row of metrics.json."""
    return {
        "dataset": data.facts.dataset,
        "estimator": data.estimator,
        "body_representation": data.facts.representation,
        "slide_window_size": window,
        "checkpoint": checkpoint,
        "metrics": metrics,
    }


SEQUENCE_HEADER = ["dataset", "estimator", "body_representation", "sequence", "name", "frames", "method"]


def sequence_lines(row: dict[str, Any], results: list[SequenceResult]) -> list[tuple[list[Any], dict[str, float]]]:
    """per_sequence.csv, a line for each sequence and method: its first cells, and name of a metric -> figure.

    Args:
        row: that of the dataset, from result_row.
    """
    lines = []
    for result in results:
        figures = summarise([result])
        start = [*list(row.values())[:3], result.index, result.name, len(result.valid)]
        for method, values in result.values.items():
            lines.append(([*start, method], {name: figures[f"{method}_{name}"] for name in values}))
    return lines


def table_rows(rows: list[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Header and lines of the table: one line for each row and method, published figures among them."""
    table = columns()
    metrics = [key for key in table if any(f"input_{key}" in row["metrics"] for row in rows)]
    header = ["dataset", "estimator", "rep", "W", "method", *(table[key][0] for key in metrics)]
    lines = []
    for row in rows:
        start = [
            row["dataset"], row["estimator"], row["body_representation"], str(row["slide_window_size"])
        ]  # fmt: skip
        for method in _methods(row["metrics"]):
            values = [_number(row["metrics"].get(f"{method}_{key}"), table[key][1]) for key in metrics]
            lines.append([*start, METHODS.get(method, method), *values])
        for quoted in published_rows(start[0], start[1], start[2], row["slide_window_size"]):
            who = "published by Tecorigin" if quoted["source"] == TECORIGIN else "published"
            for method, name in METHODS.items():
                if f"{method}_mpjpe" in quoted:
                    values = [_number(quoted.get(f"{method}_{key}"), table[key][1]) for key in metrics]
                    lines.append([*start, f"{name} ({who})", *values])
    return header, lines


def _methods(metrics: dict[str, Any]) -> list[str]:
    """The methods that `metrics` of a row tell of, in their order."""
    ending = next((f"_{name}" for name in METRICS if f"input_{name}" in metrics), None)
    names = [key.removesuffix(ending) for key in metrics if key.endswith(ending)] if ending else []
    return [name for name in names if name != "improvement"]


def part_rows(rows: list[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """The same for PCK by body part: one line for each row, method and threshold; no lines without PCK."""
    lines = []
    for row in rows:
        start = [row["dataset"], row["estimator"], row["body_representation"], str(row["slide_window_size"])]
        for metric in metrics_of("boxes"):
            ending = f"_{metric.name}_head"
            for method in [key.removesuffix(ending) for key in row["metrics"] if key.endswith(ending)]:
                values = [
                    _number(row["metrics"].get(f"{method}_{metric.name}_{part}"), metric.decimals) for part in PARTS
                ]
                lines.append([*start, f"{METHODS.get(method, method)} {metric.label}", *values])
    return ["dataset", "estimator", "rep", "W", "method", *PARTS], lines


def _number(value: Any, decimals: int) -> str:
    return "" if value is None else f"{value:.{decimals}f}"


def text_table(header: list[str], lines: list[list[str]]) -> str:
    """An aligned table for a terminal; also valid Markdown."""
    widths = [max(len(line[i]) for line in [header, *lines]) for i in range(len(header))]
    # numbers to the right, names to the left
    right = [i >= 5 for i in range(len(header))]

    def line(cells: list[str]) -> str:
        return "| " + " | ".join(
            cell.rjust(width) if r else cell.ljust(width) for cell, width, r in zip(cells, widths, right, strict=True)
        ) + " |"  # fmt: skip

    rule = "|" + "|".join("-" * (w + 1) + (":" if r else "-") for w, r in zip(widths, right, strict=True)) + "|"
    return "\n".join([line(header), rule, *(line(cells) for cells in lines)])


def report_text(rows: list[dict[str, Any]]) -> str:
    """The table over all rows, with one of PCK by body part below it where there is PCK."""
    tables = [table_rows(rows), part_rows(rows)]
    return "\n\n".join(text_table(header, lines) for header, lines in tables if lines)


def check_report(path: str | Path, coming: str | Path | None = None) -> None:
    """Raise SmoothNetError where no report can go, before the work is done: another ending, no folder to go to.

    Args:
        coming: a folder that will be there by then.
    """
    path = Path(path)
    if path.suffix not in (".md", ".csv", ".json"):
        raise SmoothNetError(f"the report {path} must end in .md, .csv or .json")
    if path.is_dir():
        raise SmoothNetError(f"the report {path} is a folder; name a file")
    made = coming is not None and path.absolute().parent == Path(coming).absolute()
    if not (made or (path.parent.is_dir() and os.access(path.parent, os.W_OK | os.X_OK))):
        raise SmoothNetError(f"cannot write the report {path}: {path.parent} is no folder that can be written to")


def write_report(rows: list[dict[str, Any]], path: str | Path) -> None:
    """Write the table as .md, .csv or .json, by the name's ending.

    Raises:
        SmoothNetError: see check_report; or the file cannot be written.
    """
    check_report(path)
    path = Path(path)
    if path.suffix == ".md":
        write_text(path, report_text(rows) + "\n")
    elif path.suffix == ".csv":
        write_text(path, csv_text(*table_rows(rows)))
    else:
        write_text(path, json.dumps({"results": rows}, indent=2) + "\n")


def csv_text(header: list[str], lines: list[list[Any]]) -> str:
    """Comma separated values."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows([header, *lines])
    return buffer.getvalue()
