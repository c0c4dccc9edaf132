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
from .published import published

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
            values = [_number(row["metrics"].get(f"{method}_{key}")) for key in metrics]
            lines.append([*start, METHODS.get(method, method), *values])
        quoted = published(*start[:3], row["slide_window_size"])
        if quoted:
            for method, name in METHODS.items():
                values = [_number(quoted.get(f"{method}_{key}")) for key in metrics]
                lines.append([*start, f"{name} (published)", *values])
    return header, lines


def _number(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if abs(value) < 1.5 else f"{value:.2f}"


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


def write_report(rows: list[dict[str, Any]], path: str | Path) -> None:
    """Write the table as .md, .csv or .json, by the name's ending.

    Raises:
        SmoothNetError: another ending, or the file cannot be written.
    """
    path = Path(path)
    header, lines = table_rows(rows)
    if path.suffix == ".md":
        write_text(path, text_table(header, lines) + "\n")
    elif path.suffix == ".csv":
        write_text(path, csv_text(header, lines))
    elif path.suffix == ".json":
        write_text(path, json.dumps({"results": rows}, indent=2) + "\n")
    else:
        raise SmoothNetError(f"the report {path} must end in .md, .csv or .json")


def csv_text(header: list[str], lines: list[list[Any]]) -> str:
    """Comma separated values."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows([header, *lines])
    return buffer.getvalue()
