# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""MMPose 1.x: smooth what an inferencer gives for a video; the results keep their form.

    pip install .  # in a checkout of smoothnet, beside mmpose
    python examples/mmpose_inferencer.py walk.mp4

Each pose is matched with the nearest one of the frames before; joints below a score of 0.3 count as missing and stay as
they are. Files of pred_out_dir need no code: smoothnet smooth predictions/walk.json -o smoothed.json

Tried with what mmpose 1.3.2 makes of its instances; the inferencer only by its documented output.
"""

import sys
from collections import deque

import numpy as np
from smoothnet.formats.association import Association
from smoothnet.inference import Smoother


def smooth_results(results):
    """Yield the results of MMPoseInferencer()(video) with smoothed keypoints, as good as if all were known at once."""
    stream, people, waiting = Smoother.from_checkpoint().stream(tracks=True), Association(), deque()
    for number, result in enumerate(results):
        persons = result["predictions"][0]
        scores = [np.array(person["keypoint_scores"])[:, None] for person in persons]
        points = [np.where(s < 0.3, np.nan, person["keypoints"]) for s, person in zip(scores, persons, strict=True)]
        waiting.append((result, people.step(number, points)))
        smoothed = stream.push(dict(zip(waiting[-1][1], points, strict=True)))
        if smoothed is not None:
            yield replace_keypoints(*waiting.popleft(), smoothed)
    for smoothed in stream.flush():  # the last frames
        yield replace_keypoints(*waiting.popleft(), smoothed)


def replace_keypoints(result, ids, smoothed):
    for person, new in zip(result["predictions"][0], map(smoothed.get, ids), strict=True):
        if new is not None:
            person["keypoints"] = np.where(np.isnan(new), person["keypoints"], new).tolist()
    return result


if __name__ == "__main__":
    from mmpose.apis import MMPoseInferencer

    for frame in smooth_results(MMPoseInferencer("human")(sys.argv[1])):
        print(frame["predictions"])
