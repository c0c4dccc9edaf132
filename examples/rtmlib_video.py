# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""rtmlib: smooth everybody in a video while it is read, four frames late.

    pip install rtmlib onnxruntime .  # in a checkout of smoothnet
    python examples/rtmlib_video.py walk.mp4

rtmlib gives people without ids, so each pose is matched with the nearest one of the frames before; joints below a score
of 0.3 count as missing.

Tried with rtmlib 0.0.16 and a network of three joints made for the test.
"""

import sys
from collections import deque

import numpy as np
from smoothnet.formats.association import Association
from smoothnet.inference import Smoother


def smooth_frames(frames, pose, delay=4):
    """Yield (frame, {person: (joints, 2) in pixels}) for images; pose is a Body, a Wholebody or any other of rtmlib."""
    stream, people, waiting = Smoother.from_checkpoint().stream(delay, tracks=True), Association(), deque()
    for number, frame in enumerate(frames):
        waiting.append(frame)
        keypoints, scores = (np.asarray(array) for array in pose(frame))
        points = list(np.where(scores[..., None] < 0.3, np.nan, keypoints)) if len(scores) else []
        smoothed = stream.push(dict(zip(people.step(number, points), points, strict=True)))
        if smoothed is not None:
            yield waiting.popleft(), smoothed
    for smoothed in stream.flush():  # the last frames
        yield waiting.popleft(), smoothed


if __name__ == "__main__":
    import cv2
    from rtmlib import Body

    video = cv2.VideoCapture(sys.argv[1])
    images = (image for _, image in iter(video.read, (False, None)))
    for _, poses in smooth_frames(images, Body(mode="lightweight")):
        print(poses)
