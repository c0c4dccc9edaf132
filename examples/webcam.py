# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""OpenCV: a loop over the frames of a camera with any estimator, the picture four frames late.

    pip install opencv-python rtmlib onnxruntime .  # in a checkout of smoothnet
    python examples/webcam.py  # q ends it

The estimator here is rtmlib's; it can be any function that gives (joints, 2) of one person, NaN where a joint is
missing, or None.

Tried with OpenCV 5.0.0 on a video file.
"""

from collections import deque

import numpy as np
from smoothnet.inference import Smoother


def smooth_camera(capture, estimate, show, delay=4):
    """show(image, (joints, 2) in pixels or None) gets every frame, late; it ends the loop by giving False."""
    stream, waiting = Smoother.from_checkpoint().stream(delay, tracks=False), deque()
    for _, image in iter(capture.read, (False, None)):
        waiting.append(image)
        smoothed = stream.push(estimate(image))
        if len(waiting) > delay and show(waiting.popleft(), smoothed) is False:
            break
    for smoothed in stream.flush():  # the last frames
        show(waiting.popleft(), smoothed)


if __name__ == "__main__":
    import cv2
    from rtmlib import Body

    body = Body(mode="lightweight")

    def first_person(image):
        keypoints, scores = body(image)
        return np.where(scores[0][:, None] < 0.3, np.nan, keypoints[0]) if len(keypoints) else None

    def draw(image, points):
        for x, y in [] if points is None else points[~np.isnan(points).any(axis=1)]:
            cv2.circle(image, (int(x), int(y)), 4, (0, 255, 0), -1)
        cv2.imshow("smoothed", image)
        return cv2.waitKey(1) != ord("q")

    smooth_camera(cv2.VideoCapture(0), first_person, draw)
