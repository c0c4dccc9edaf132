"""Results as rows and tables."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

from ..dataset.poses import PoseData
from ..utils.errors import SmoothNetError
from ..utils.files import write_text
from .pck import PARTS, THRESHOLDS
from .published import TECORIGIN, published_rows

COLUMNS = {
    "mpjpe": "MPJPE",
    "pampjpe": "PA-MPJPE",
    "accel": "Accel",
    "mpvpe": "MPVPE",
    "pck_005": "PCK@0.05",
    "pck_01": "PCK@0.1",
    "pck_02": "PCK@0.2",
    "mpjpe_top1": "MPJPE worst 1%",
    "accel_top1": "Accel worst 1%",
    "accel_unpadded": "Accel unpadded",
}
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


def table_rows(rows: list[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Header and lines of the table: one line for each row and method, published figures among them."""
    metrics = [key for key in COLUMNS if any(f"input_{key}" in row["metrics"] for row in rows)]
    header = ["dataset", "estimator", "rep", "W", "method", *(COLUMNS[key] for key in metrics)]
    lines = []
    for row in rows:
        start = [
            row["dataset"], row["estimator"], row["body_representation"], str(row["slide_window_size"])
        ]  # fmt: skip
        methods = [key.removesuffix("_mpjpe") for key in row["metrics"] if key.endswith("_mpjpe")]
        methods = methods or [key.removesuffix("_pck_005") for key in row["metrics"] if key.endswith("_pck_005")]
        for method in methods:
            if method == "improvement":
                continue
            values = [_number(row["metrics"].get(f"{method}_{key}"), key) for key in metrics]
            lines.append([*start, METHODS.get(method, method), *values])
        for quoted in published_rows(*start[:3], row["slide_window_size"]):
            who = "published by Tecorigin" if quoted["source"] == TECORIGIN else "published"
            for method, name in METHODS.items():
                if f"{method}_mpjpe" in quoted:
                    values = [_number(quoted.get(f"{method}_{key}"), key) for key in metrics]
                    lines.append([*start, f"{name} ({who})", *values])
    return header, lines


def part_rows(rows: list[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """The same for PCK by body part: one line for each row, method and threshold; no lines without PCK."""
    lines = []
    for row in rows:
        start = [row["dataset"], row["estimator"], row["body_representation"], str(row["slide_window_size"])]
        for threshold in THRESHOLDS:
            ending = f"_{threshold}_head"
            for method in [key.removesuffix(ending) for key in row["metrics"] if key.endswith(ending)]:
                values = [_number(row["metrics"].get(f"{method}_{threshold}_{part}"), threshold) for part in PARTS]
                lines.append([*start, f"{METHODS.get(method, method)} {COLUMNS[threshold]}", *values])
    return ["dataset", "estimator", "rep", "W", "method", *PARTS], lines


def _number(value: Any, metric: str) -> str:
    """Two decimals; PCK, a fraction, four."""
    return "" if value is None else f"{value:.4f}" if metric in THRESHOLDS else f"{value:.2f}"


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


def write_report(rows: list[dict[str, Any]], path: str | Path) -> None:
    """Write the table as .md, .csv or .json, by the name's ending.

    Raises:
        SmoothNetError: another ending, or the file cannot be written.
    """
    path = Path(path)
    if path.suffix == ".md":
        write_text(path, report_text(rows) + "\n")
    elif path.suffix == ".csv":
        write_text(path, csv_text(*table_rows(rows)))
    elif path.suffix == ".json":
        write_text(path, json.dumps({"results": rows}, indent=2) + "\n")
    else:
        raise SmoothNetError(f"the report {path} must end in .md, .csv or .json")


def csv_text(header: list[str], lines: list[list[Any]]) -> str:
    """Comma separated values."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows([header, *lines])
    return buffer.getvalue()
