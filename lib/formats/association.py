# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Who is who in files and streams without track ids: poses are matched from frame to frame."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from ..utils.errors import SmoothNetError

# A pose further from a track than this many body sizes (RMS distance of its joints from their centre, a
# quarter to a third of a standing person's height) is someone else. A sprinter filmed at 30 frames a second
# moves 0.7.
_GATE = 1.0
# A track that has not been seen for longer than this many frames is over.
_MEMORY = 30
# People in one frame, and joints that they and the tracks have place for, beyond which nobody recorded people.
_CROWD, _PLACES = 3000, 2**22


class Association:
    """Gives poses without ids the number of a track: the nearest pose of the frames before, one to one.

    Frame by frame, the poses are assigned to the tracks that were seen in the last `memory` frames so that
    the sum of the costs is smallest (Hungarian method). The cost of a pair is the mean distance of the
    joints both show, over the body size of the track's last pose (RMS distance of its joints from their
    centre); where they share no joint, the distance of their centres. A pair that costs more than `gate` is
    no match: the pose begins a new track. There is no model of motion and no look at the picture: people
    who cross closely can be swapped.
    """

    def __init__(self, gate: float = _GATE, memory: int = _MEMORY):
        self.gate = gate
        self.memory = memory
        self._count = 0
        self._last_seen: dict[int, tuple[int, np.ndarray]] = {}  # track -> frame, pose

    def step(self, frame: int, poses: list[np.ndarray]) -> list[int]:
        """Track numbers, counted from 0 in order of appearance, of the poses of the next frame.

        Args:
            frame: Its number, larger than the last one's.
            poses: (joints, dims) each, NaN where missing; joint counts may differ.
        """
        from scipy.optimize import linear_sum_assignment

        self._last_seen = {t: seen for t, seen in self._last_seen.items() if frame - seen[0] <= self.memory}
        tracks = list(self._last_seen)
        known = [self._last_seen[t][1] for t in tracks]
        joints = max(map(len, [*known, *poses]), default=0)
        if len(poses) > _CROWD or joints * (len(known) + len(poses)) > _PLACES:
            raise SmoothNetError(
                f"frame {frame} shows {len(poses)} people without ids, of up to {joints} joints, too many to tell apart"
            )
        costs = _pose_distances(known, poses)
        matched: dict[int, int] = {}
        if costs.size:
            # Pairs beyond the gate all cost the same, far more than any match, and infinity is not allowed.
            rows, columns = linear_sum_assignment(np.where(costs <= self.gate, costs, 1e6 * self.gate))
            matched = {r: tracks[c] for r, c in zip(rows, columns, strict=True) if costs[r, c] <= self.gate}
        for index, pose in enumerate(poses):
            if index not in matched:
                matched[index] = self._count
                self._count += 1
            if np.isfinite(pose).all(axis=1).any():
                self._last_seen[matched[index]] = (frame, pose)
        return [matched[index] for index in range(len(poses))]


def associate(frames: list[int], poses: list[np.ndarray]) -> list[int]:
    """Track numbers of poses without ids, given with their frames in any order; see `Association`."""
    by_frame: dict[int, list[int]] = defaultdict(list)
    for index, frame in enumerate(frames):
        by_frame[frame].append(index)
    association = Association()
    result = [0] * len(poses)
    for frame in sorted(by_frame):
        members = by_frame[frame]
        for index, track in zip(members, association.step(frame, [poses[i] for i in members]), strict=True):
            result[index] = track
    return result


def _pose_distances(old: list[np.ndarray], new: list[np.ndarray]) -> np.ndarray:
    """Costs of pairing `new` poses with `old` ones, see `Association`: (new, old), infinite where there is none."""
    if not old or not new:
        return np.zeros((len(new), len(old)))
    shape = np.max([pose.shape for pose in (*old, *new)], axis=0)
    poses = np.full((len(old) + len(new), *shape), np.nan)
    for i, pose in enumerate((*old, *new)):
        poses[i, : pose.shape[0]] = np.pad(pose, ((0, 0), (0, shape[1] - pose.shape[1])))
    shown = np.all(np.isfinite(poses), axis=2)
    poses[~shown] = 0
    count = np.maximum(shown.sum(axis=1), 1)
    dims, n = np.array([pose.shape[1] for pose in (*old, *new)]), len(old)
    costs = np.full((len(new), n), np.inf)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        centres = poses.sum(axis=1) / count[:, None]
        from_centre = np.where(shown[:n, :, None], poses[:n] - centres[:n, None], 0)
        size = np.sqrt((from_centre**2).sum(axis=(1, 2)) / count[:n])
        for row, pose, here, centre, d in zip(costs, poses[n:], shown[n:], centres[n:], dims[n:], strict=True):
            both = shown[:n] & here
            apart = np.where(both, np.sqrt(((poses[:n] - pose) ** 2).sum(axis=2)), 0).sum(axis=1)
            shared = both.sum(axis=1)
            distance = np.where(shared, apart / shared, np.sqrt(((centres[:n] - centre) ** 2).sum(axis=1)))
            cost = np.where(size > 0, distance / size, np.where(distance == 0, 0, np.inf))
            comparable = shown[:n].any(axis=1) & here.any() & (dims[:n] == d)
            row[:] = np.where(comparable & np.isfinite(cost), cost, np.inf)
    return costs
