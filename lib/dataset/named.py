# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The datasets that the settings name."""

from __future__ import annotations

from ..utils.errors import SmoothNetError
from ..utils.tree import CfgNode
from .poses import PoseData, load_poses


def load_all(cfg: CfgNode, phase: str) -> list[PoseData]:
    """The datasets that DATASET_NAME, ESTIMATOR and BODY_REPRESENTATION name, comma lists of equal length.

    Raises:
        SmoothNetError: no name, unequal lists, or as load_poses.
    """
    keys = ("DATASET_NAME", "ESTIMATOR", "BODY_REPRESENTATION")
    lists = [split_list(cfg[key]) for key in keys]
    for key, names in zip(keys, lists, strict=True):
        if not names:
            raise SmoothNetError(f"{key} is empty; give --{key.lower()} or a --cfg that sets it")
    if len({len(names) for names in lists}) != 1:
        counts = ", ".join(f"{key} {len(names)}" for key, names in zip(keys, lists, strict=True))
        raise SmoothNetError(f"the comma lists must be equally long, not {counts}")
    if len(set(lists[2])) != 1:
        raise SmoothNetError(f"one run takes one body representation, not {', '.join(lists[2])}")
    return [
        load_poses(
            cfg.DATASET.BASE_DIR,
            dataset,
            estimator,
            representation,
            phase,
            root=cfg.DATASET.get(f"ROOT_{dataset.upper()}_{estimator.upper()}_3D"),
            use_6d=cfg.TRAIN.USE_6D_SMPL,
        )
        for dataset, estimator, representation in zip(*lists, strict=True)
    ]


def split_list(text: str) -> list[str]:
    """`"a, b"` -> `["a", "b"]`."""
    return [part.strip() for part in text.split(",") if part.strip()]
