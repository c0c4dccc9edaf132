# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Numbers that others published, to be quoted beside our own and marked as published. None was measured here.

Sources: the result tables of the official repository (cure-lab/SmoothNet, state of 2023-05-06), window 32,
step 1; and the log of Tecorigin's port of it to sdaa devices. MPJPE in mm, Accel in mm/frame^2; for 2D in
pixels and pixels/frame^2.
"""

from __future__ import annotations

from typing import Any

OFFICIAL = "official repository of SmoothNet"
TECORIGIN = "Tecorigin ModelZoo: one sdaa card, mixed precision, batch 4000, epoch 23"
WINDOW = 32

_A, _H, _P = "aist_vibe_3D", "h36m_fcn_3D", "pw3d_spin_3D"  # the three published checkpoints

# (dataset, estimator, representation): input MPJPE, output MPJPE, input Accel, output Accel, checkpoint
_OFFICIAL_ROWS: dict[tuple[str, str, str], tuple[float, float, float, float, str]] = {
    ("aist", "spin", "3D"): (107.17, 95.21, 33.19, 4.17, _A),
    ("aist", "tcmr", "3D"): (106.72, 105.51, 6.4, 4.24, _A),
    ("aist", "vibe", "3D"): (106.90, 97.47, 31.64, 4.15, _A),
    ("h36m", "fcn", "3D"): (54.55, 52.72, 19.17, 1.03, _H),
    ("h36m", "rle", "3D"): (48.87, 48.27, 7.75, 0.90, _H),
    ("h36m", "tcmr", "3D"): (73.57, 73.89, 3.77, 2.79, _H),
    ("h36m", "vibe", "3D"): (78.10, 77.23, 15.81, 2.86, _H),
    ("h36m", "videoposet27", "3D"): (50.13, 50.04, 3.53, 0.88, _H),
    ("h36m", "videoposet81", "3D"): (48.97, 48.89, 3.06, 0.87, _H),
    ("h36m", "videoposet243", "3D"): (48.11, 48.05, 2.82, 0.87, _H),
    ("mpiinf3dhp", "spin", "3D"): (100.74, 92.89, 28.54, 6.54, _P),
    ("mpiinf3dhp", "tcmr", "3D"): (92.83, 88.93, 7.92, 6.49, _P),
    ("mpiinf3dhp", "vibe", "3D"): (92.39, 87.57, 22.37, 6.5, _P),
    ("mupots", "tposenet", "3D"): (103.33, 100.78, 12.7, 7.23, _A),
    ("mupots", "tposenetrefinenet", "3D"): (93.97, 91.78, 9.53, 7.21, _A),
    ("pw3d", "eft", "3D"): (90.32, 88.40, 32.71, 6.07, _P),
    ("pw3d", "pare", "3D"): (78.91, 78.11, 25.64, 5.91, _P),
    ("pw3d", "spin", "3D"): (96.85, 95.84, 34.55, 6.17, _P),
    ("pw3d", "tcmr", "3D"): (86.46, 86.48, 6.76, 5.95, _H),
    ("pw3d", "vibe", "3D"): (82.97, 81.49, 23.16, 5.98, _H),
    ("h36m", "cpn", "2D"): (6.67, 6.45, 2.91, 0.14, _H),
    ("h36m", "hourglass", "2D"): (9.42, 9.25, 1.54, 0.15, _H),
    ("h36m", "hrnet", "2D"): (4.59, 4.54, 1.01, 0.13, _H),
    ("h36m", "rle", "2D"): (5.14, 5.11, 0.9, 0.13, _H),
    ("aist", "spin", "smpl"): (107.72, 103.00, 33.21, 5.72, _A),
    ("aist", "tcmr", "smpl"): (106.95, 106.39, 6.47, 4.68, _H),
    ("aist", "vibe", "smpl"): (107.41, 102.06, 31.65, 5.95, _A),
    ("pw3d", "eft", "smpl"): (91.60, 89.57, 33.38, 7.89, _P),
    ("pw3d", "pare", "smpl"): (79.93, 78.68, 26.45, 6.31, _P),
    ("pw3d", "spin", "smpl"): (99.28, 97.81, 34.95, 7.40, _P),
    ("pw3d", "tcmr", "smpl"): (88.46, 88.37, 7.12, 6.52, _H),
    ("pw3d", "vibe", "smpl"): (84.27, 83.14, 23.59, 7.24, _H),
}

# A port's own training: only its output is known, the input is that of the official row.
_TECORIGIN_ROWS: dict[tuple[str, str, str], tuple[float, float]] = {("h36m", "fcn", "3D"): (52.70, 1.10)}


def published(
    dataset: str, estimator: str, representation: str, window: int = WINDOW, source: str = OFFICIAL
) -> dict[str, Any] | None:
    """The published row for this combination, or None where nothing was published.

    Args:
        source: `OFFICIAL`, or `TECORIGIN` (one row: h36m, fcn, 3D).

    Returns:
        smoothnet_mpjpe, smoothnet_accel, source, checkpoint (name of the published weights; None where the
        source trained its own), and from the official tables input_mpjpe and input_accel.
    """
    key = (
        dataset.lower(),
        estimator.lower(),
        {"2d": "2D", "3d": "3D"}.get(representation.lower(), representation),
    )
    if window != WINDOW:
        return None
    if source == OFFICIAL and key in _OFFICIAL_ROWS:
        values = dict(
            zip(("input_mpjpe", "smoothnet_mpjpe", "input_accel", "smoothnet_accel", "checkpoint"),
                _OFFICIAL_ROWS[key], strict=True)
        )  # fmt: skip
        return {**values, "source": OFFICIAL}
    if source == TECORIGIN and key in _TECORIGIN_ROWS:
        mpjpe, accel = _TECORIGIN_ROWS[key]
        return {"smoothnet_mpjpe": mpjpe, "smoothnet_accel": accel, "checkpoint": None, "source": TECORIGIN}
    return None


def published_rows(dataset: str, estimator: str, representation: str, window: int = WINDOW) -> list[dict[str, Any]]:
    """Every published row for this combination, the official one first."""
    rows = (published(dataset, estimator, representation, window, source) for source in (OFFICIAL, TECORIGIN))
    return [row for row in rows if row is not None]
