# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Small files as each video-to-SMPL system documents its output: `python tests/smpl_samples.py FOLDER`.

The numbers are made up: slow turns with noise. The keys, shapes and types are the tool's, as is the package that it
saves with. Sources are in docs/formats-smpl.md.
"""

from __future__ import annotations

import pickle
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
FRAMES = 40


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def angles(joints: int, frames: int = FRAMES, seed: int = 0) -> np.ndarray:
    """(frames, 3 joints) axis-angle: a rest pose, a slow turn, noise of 2 degrees."""
    noise = rng(seed).normal(size=(frames, 3 * joints)) * 0.03
    slow = np.sin(np.arange(frames)[:, None] / 9 + rng(seed + 1).uniform(0, 6, 3 * joints)) * 0.2
    return (rng(seed + 2).normal(size=3 * joints) * 0.3 + slow + noise).astype(np.float32)


def matrices(joints: int, frames: int = FRAMES, seed: int = 0) -> np.ndarray:
    """The same as (frames, joints, 3, 3)."""
    sys.path.insert(0, str(ROOT))
    from lib.utils.rotations import axis_angle_to_matrix

    vectors = angles(joints, frames, seed).reshape(frames, joints, 3).astype(np.float64)
    return axis_angle_to_matrix(vectors).astype(np.float32)


def path_of(frames: int = FRAMES, seed: int = 0) -> np.ndarray:
    """(frames, 3) metres: a walk of a centimetre a frame, noise of 5 mm."""
    return (np.arange(frames)[:, None] * 0.01 + 2 + rng(seed).normal(size=(frames, 3)) * 0.005).astype(np.float32)


def frame_numbers(frames: int = FRAMES, gap: int = 0) -> np.ndarray:
    """Numbers with a gap in the middle."""
    numbers = np.arange(frames) + 5
    numbers[frames // 2 :] += gap
    return numbers


def wham(folder: Path) -> Path:
    """joblib.dump of a defaultdict: two people, the second with frames that jump."""
    import joblib

    results: dict = defaultdict(dict)
    for person, gap in ((0, 0), (3, 25)):
        results[person] = {
            "pose": angles(24, seed=person), "trans": path_of(seed=person),
            "pose_world": angles(24, seed=person + 10), "trans_world": path_of(seed=person + 1),
            "betas": np.tile(rng(person).normal(size=10).astype(np.float32), (FRAMES, 1)),
            "verts": rng(person).normal(size=(FRAMES, 12, 3)).astype(np.float32),
            "frame_ids": frame_numbers(gap=gap),
        }  # fmt: skip
    joblib.dump(results, folder / "wham_output.pkl")
    return folder / "wham_output.pkl"


def vibe(folder: Path) -> Path:
    import joblib

    person = {
        "pred_cam": path_of(seed=1), "orig_cam": rng(0).normal(size=(FRAMES, 4)).astype(np.float32),
        "verts": rng(0).normal(size=(FRAMES, 12, 3)).astype(np.float32), "pose": angles(24),
        "betas": rng(1).normal(size=(FRAMES, 10)).astype(np.float32),
        "joints3d": rng(2).normal(size=(FRAMES, 49, 3)).astype(np.float32), "joints2d": None,
        "smpl_joints2d": rng(3).normal(size=(FRAMES, 49, 2)).astype(np.float32),
        "bboxes": rng(4).uniform(0, 100, (FRAMES, 4)), "frame_ids": frame_numbers(),
    }  # fmt: skip
    joblib.dump({1: person}, folder / "vibe_output.pkl")
    return folder / "vibe_output.pkl"


def gvhmr(folder: Path) -> Path:
    """torch.save; the parameters are views of what the network gave, as `v[0]` makes them."""
    import torch

    def parameters(seed: int) -> dict:
        return {
            "body_pose": torch.from_numpy(angles(21, seed=seed))[None], "betas": torch.zeros(1, FRAMES, 10) + 0.5,
            "global_orient": torch.from_numpy(angles(1, seed=seed + 1))[None],
            "transl": torch.from_numpy(path_of(seed=seed))[None],
        }  # fmt: skip

    outputs = {"pred_smpl_params_global": parameters(0), "pred_smpl_params_incam": parameters(5)}
    torch.save(
        {
            "smpl_params_global": {k: v[0] for k, v in outputs["pred_smpl_params_global"].items()},
            "smpl_params_incam": {k: v[0] for k, v in outputs["pred_smpl_params_incam"].items()},
            "K_fullimg": torch.eye(3).repeat(FRAMES, 1, 1),
            "net_outputs": {**outputs, "static_conf_logits": torch.ones(1, FRAMES, 6)},
        },
        folder / "hmr4d_results.pt",
    )
    return folder / "hmr4d_results.pt"


def tram(folder: Path) -> Path:
    """np.save of a dict of tensors."""
    import torch

    rotations = matrices(24)
    results = {
        "pred_cam": path_of(seed=1), "pred_pose": rotations[..., :2].reshape(FRAMES, 144),
        "pred_shape": rng(2).normal(size=(FRAMES, 10)).astype(np.float32), "pred_rotmat": rotations,
        "pred_trans": path_of()[:, None], "frame": frame_numbers(gap=30),
    }  # fmt: skip
    np.save(folder / "hps_track_0.npy", {key: torch.from_numpy(value.copy()) for key, value in results.items()})
    return folder / "hps_track_0.npy"


def phalp(folder: Path) -> Path:
    """joblib.dump with compress=3: a dict for each frame, lists with an entry for each person.

    The second person comes in frame 10 and is not seen in frames 20 and 21, where the last entry is repeated.
    """
    import joblib

    bodies, places = matrices(48), path_of()
    frames: dict = {}
    for t in range(FRAMES):
        name = f"outputs//_DEMO/clip/img/{t + 1:06d}.jpg"
        frame: dict = {"frame_path": name, "time": t, "shot": 0}
        lists = (
            "tid",
            "tracked_ids",
            "tracked_time",
            "smpl",
            "camera",
            "bbox",
            "3d_joints",
            "2d_joints",
            "pose",
            "mask",
        )
        frame.update({key: [] for key in lists})
        for person in range(1 if t < 10 else 2):
            if person and t in (20, 21):
                before = frames[f"outputs//_DEMO/clip/img/{t:06d}.jpg"]
                entry = {key: before[key][1] for key in lists} | {"tracked_time": t - 19}
            else:
                turned = bodies[t, 24 * person : 24 * person + 24]
                entry = {
                    "tid": person + 1, "tracked_ids": person + 1, "tracked_time": 0,
                    "smpl": {"global_orient": turned[:1], "body_pose": turned[1:], "betas": np.ones(10, np.float32)},
                    "camera": places[t] + person, "bbox": np.array([1.0, 2, 30, 40]),
                    "3d_joints": np.ones((45, 3), np.float32), "2d_joints": np.ones(90, np.float32),
                    "pose": np.ones(229, np.float32), "mask": {"size": [8, 8], "counts": b"\x01ab\xff"},
                }  # fmt: skip
            for key, value in entry.items():
                frame[key].append(value)
        frames[name] = frame
    joblib.dump(frames, folder / "demo_clip.pkl", compress=3)
    return folder / "demo_clip.pkl"


def prompthmr(folder: Path) -> Path:
    import joblib

    def person(number: int) -> dict:
        rotations = {"pose": angles(55, seed=number), "rotmat": matrices(55, seed=number)}
        shape = rng(number).normal(size=(FRAMES, 10)).astype(np.float32)
        return {
            "track_id": number, "frames": frame_numbers(), "bboxes": rng(number).uniform(0, 99, (FRAMES, 4)),
            "keypoints_2d": rng(number).normal(size=(FRAMES, 25, 3)),
            "smplx_cam": {**rotations, "shape": shape, "trans": path_of(), "contact": np.ones((FRAMES, 6), bool)},
            "smplx_world": {"pose": angles(55, seed=number + 7), "shape": shape, "trans": path_of(seed=9)},
        }  # fmt: skip

    camera = {
        "pred_cam_R": np.tile(np.eye(3), (60, 1, 1)),
        "pred_cam_T": np.zeros((60, 3)),
        "img_focal": np.float32(900),
    }
    results = {
        "camera": camera, "people": {1: person(1), 2: person(2)}, "timings": {}, "has_tracks": True,
        "masks": np.zeros((60, 4, 4), bool), "contact_joint_ids": [7, 10, 8, 11, 20, 21],
    }  # fmt: skip
    joblib.dump(results, folder / "results.pkl")
    return folder / "results.pkl"


def aist(folder: Path) -> Path:
    """AIST++ motions: pickles of a dict."""
    motion = {
        "smpl_loss": 1.5, "smpl_poses": angles(24).astype(np.float64), "smpl_scaling": np.array([93.8]),
        "smpl_trans": path_of().astype(np.float64) * 100,
    }  # fmt: skip
    (folder / "gBR_sBM_cAll_d04_mBR0_ch01.pkl").write_bytes(pickle.dumps(motion))
    return folder / "gBR_sBM_cAll_d04_mBR0_ch01.pkl"


def smplx(folder: Path) -> Path:
    """SMPL-X parameters with hands, jaw and eyes, as Python 2 pickled them, in Fortran order."""
    parameters = {
        "global_orient": angles(1), "body_pose": angles(21, seed=1), "left_hand_pose": angles(15, seed=2),
        "right_hand_pose": angles(15, seed=3), "jaw_pose": angles(1, seed=4), "leye_pose": angles(1, seed=5),
        "reye_pose": angles(1, seed=6), "transl": np.asfortranarray(path_of()), "betas": np.ones((1, 10), np.float32),
        "expression": rng(1).normal(size=(FRAMES, 10)), "gender": "neutral",
    }  # fmt: skip
    (folder / "smplx.pkl").write_bytes(pickle.dumps(parameters, protocol=2))
    return folder / "smplx.pkl"


SAMPLES = {make.__name__: make for make in (wham, vibe, gvhmr, tram, phalp, prompthmr, aist, smplx)}


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for make in SAMPLES.values():
        print(make(folder))
