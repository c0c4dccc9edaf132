# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""What is known of each dataset: one row for each (dataset, representation, estimators) that exists.

Joint numbers, roots and re-orderings decide published figures; they are facts of the official data files.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..utils.errors import SmoothNetError

# What is compared with the ground truth; each metric names the one it is about (lib/evaluation/metrics.py).
JOINTS, BODIES, BOXES = ("joints",), ("joints", "vertices"), ("boxes",)

DATA_KEYS = {"3D": "joints_3d", "2D": "joints_2d", "smpl": "pose"}  # of the coordinates in the npz files

# 3DPW files of EFT, PARE and SPIN store 17 joints; these 14, in LSP order, are used.
PW3D_TO_LSP = (6, 5, 4, 1, 2, 3, 16, 15, 14, 11, 12, 13, 8, 10)


@dataclass(frozen=True)
class Facts:
    """One kind of pose file and how it is treated.

    Attributes:
        dataset, representation: as in the file names; representation is 3D, 2D or smpl.
        estimators: those that exist; empty when any may be used.
        joints: joints after re-ordering; 0 when the file decides.
        root: joints whose mean is subtracted before 3D metrics.
        skeleton: name in lib.dataset.skeletons, empty when unknown.
        train_estimators: those with a published train file; None when all have one.
        order: joints taken from the stored ones, in this order; None to take all as they are.
        pixels: how 2D pixels become network input. "h36m": (x - 500) / 500. "image": x / (width, height) - 0.5 with
            the image size in the file.
        spaces: what is compared with the ground truth.
        legacy_index: items of the official training index: "frames" (one a frame, the surplus on the last
            sequence) or "windows" (sum of L - W).
        fps: frames per second of the recordings; 0 when unknown.
    """

    dataset: str
    representation: str
    estimators: tuple[str, ...]
    joints: int
    root: tuple[int, ...] = (0,)
    skeleton: str = ""
    train_estimators: tuple[str, ...] | None = None
    order: tuple[int, ...] | None = None
    pixels: str = "h36m"
    spaces: tuple[str, ...] = JOINTS
    legacy_index: str = "frames"
    fps: float = 0.0

    @property
    def dims(self) -> int:
        """Coordinates per joint: 3, 2, or the 6 of a rotation."""
        return {"3D": 3, "2D": 2, "smpl": 6}[self.representation]

    @property
    def data_key(self) -> str:
        """Name of the coordinates in the npz files."""
        return DATA_KEYS[self.representation]

    @property
    def pixels_need_size(self) -> bool:
        """Whether the files say how large each sequence's images are."""
        return self.representation == "2D" and self.pixels == "image"

    @property
    def unit(self) -> str:
        """Unit of the error metrics."""
        return "pixel" if self.representation == "2D" else "mm"


HIPS = (2, 3)  # in LSP order
DATASETS: tuple[Facts, ...] = (
    Facts("aist", "3D", ("spin", "tcmr", "vibe"), 14, HIPS, "lsp14", fps=60),
    Facts("aist", "smpl", ("spin", "tcmr", "vibe"), 24, HIPS, "smpl24", spaces=BODIES, fps=60),
    Facts(
        "h36m", "3D", ("fcn", "rle", "videoposet27", "videoposet81", "videoposet243"), 17, (0,), "h36m17",
        train_estimators=("fcn",), fps=50,
    ),
    Facts("h36m", "3D", ("tcmr", "vibe"), 14, HIPS, "lsp14", (), fps=50),
    Facts("h36m", "2D", ("cpn",), 17, (0,), "h36m17", fps=50),
    Facts("h36m", "2D", ("hourglass", "hrnet", "rle"), 16, (0,), "h36m2d16", fps=50),
    Facts("h36m", "smpl", (), 24, HIPS, "smpl24", spaces=BODIES, fps=50),
    Facts("h36m_mix", "3D", (), 17, (0,), "h36m17", fps=50),
    Facts("jhmdb", "2D", ("simplepose",), 15, (0,), "jhmdb15", pixels="image", spaces=BOXES),
    Facts("mpiinf3dhp", "3D", ("spin", "tcmr", "vibe"), 17, (14,), "mpi17", ()),
    Facts("mupots", "3D", ("tposenet", "tposenetrefinenet"), 17, (14,), "mpi17", ()),
    Facts("pw3d", "3D", ("eft", "pare", "spin"), 14, HIPS, "lsp14", order=PW3D_TO_LSP, legacy_index="windows", fps=30),
    Facts("pw3d", "3D", ("tcmr", "vibe"), 14, HIPS, "lsp14", legacy_index="windows", fps=30),
    Facts(
        "pw3d", "smpl", ("eft", "pare", "spin", "tcmr", "vibe"), 24, HIPS, "smpl24",
        spaces=BODIES, legacy_index="windows", fps=30,
    ),
    Facts("uiprmd", "3D", ("kinect",), 22, (0,), "uiprmd22", fps=30),
    Facts("demo", "3D", ("synthetic",), 17, (0,), "h36m17", fps=30),
    Facts("demo", "2D", ("synthetic",), 17, (0,), "h36m17", fps=30),
)  # fmt: skip


def find_facts(dataset: str, estimator: str, representation: str) -> tuple[Facts, bool]:
    """The row for a combination, and whether the table knows the dataset (else defaults were taken).

    Raises:
        SmoothNetError: the dataset is known but has no such estimator or representation.
    """
    if representation not in ("3D", "2D", "smpl"):
        raise SmoothNetError(f"body representation {representation!r} is not one of 3D, 2D, smpl")
    rows = [facts for facts in DATASETS if facts.dataset == dataset]
    if not rows:
        spaces = BODIES if representation == "smpl" else JOINTS
        root, joints = (HIPS, 24) if representation == "smpl" else ((0,), 0)
        return Facts(dataset, representation, (estimator,), joints, root, spaces=spaces), False
    for facts in rows:
        if facts.representation == representation and (not facts.estimators or estimator in facts.estimators):
            return facts, True
    existing = "; ".join(f"{facts.representation} with {', '.join(facts.estimators) or 'any'}" for facts in rows)
    raise SmoothNetError(f"{dataset} has no {representation} poses of {estimator}; it has {existing}")
