# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""MediaPipe: smooth a live stream of a camera, four frames late.

    pip install mediapipe opencv-python .  # in a checkout of smoothnet
    python examples/mediapipe_live.py pose_landmarker_lite.task  # a model of MediaPipe's page on the pose landmarker

Landmarks are taken in pixels, since a step of 0.01 is not as long across the picture as down; those below a visibility
of 0.5 count as missing.

Tried with the types of mediapipe 1.2.3; the landmarker itself, whose model was not at hand, only by its documentation.
"""

import sys
from collections import deque

import numpy as np
from smoothnet.inference import Smoother


def make_callback(show, delay=4):
    """(result_callback, finish): show(image, milliseconds, (33, 3) in pixels or None) gets every frame, late."""
    stream, waiting = Smoother.from_checkpoint().stream(delay, tracks=False), deque()

    def take(result, image, milliseconds):
        waiting.append((image, milliseconds))
        marks = result.pose_landmarks[0] if result.pose_landmarks else []
        points = [(m.x, m.y, m.z) if m.visibility >= 0.5 else (np.nan,) * 3 for m in marks]
        smoothed = stream.push(np.array(points) * (image.width, image.height, image.width) if points else None)
        if len(waiting) > delay:
            show(*waiting.popleft(), smoothed)

    def finish():
        for smoothed in stream.flush():  # the last frames
            show(*waiting.popleft(), smoothed)

    return take, finish


if __name__ == "__main__":
    import cv2
    import mediapipe as mp
    from mediapipe.tasks.python import BaseOptions, vision

    callback, end = make_callback(lambda image, milliseconds, points: print(milliseconds, points))
    options = vision.PoseLandmarkerOptions(
        BaseOptions(model_asset_path=sys.argv[1]), running_mode=vision.RunningMode.LIVE_STREAM, result_callback=callback
    )
    camera = cv2.VideoCapture(0)
    try:
        with vision.PoseLandmarker.create_from_options(options) as landmarker:
            for _, picture in iter(camera.read, (False, None)):
                rgb = mp.Image(mp.ImageFormat.SRGB, cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))
                landmarker.detect_async(rgb, int(cv2.getTickCount() / cv2.getTickFrequency() * 1000))
    except KeyboardInterrupt:
        end()  # closing the landmarker has waited for its last results
