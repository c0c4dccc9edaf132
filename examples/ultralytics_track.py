# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Ultralytics: smooth every track of a video or camera while it is tracked, four frames late.

    pip install ultralytics .  # in a checkout of smoothnet
    python examples/ultralytics_track.py walk.mp4

The callbacks see the Results of each frame with their track ids; joints below a confidence of 0.5 count as missing.

Tried with ultralytics 8.4.190, its tracker and its callbacks; detections were put in, no weights were at hand.
"""

import sys
from collections import deque

import numpy as np
from smoothnet.inference import Smoother


def smooth_tracks(model, show, delay=4):
    """From now on, each frame of a model.track(source) goes to show(result, {track id: (joints, 2) in pixels})."""
    stream, waiting = Smoother.from_checkpoint().stream(delay, tracks=True), deque()

    def take(predictor):
        for result in predictor.results:
            waiting.append(result)
            data = result.keypoints.data.cpu().numpy()  # (people, joints, x y confidence)
            points = np.where(data[..., 2:] < 0.5, np.nan, data[..., :2])
            ids = [] if result.boxes.id is None else result.boxes.id.int().tolist()
            people = stream.push(dict(zip(ids, points, strict=False)))
            if people is not None:
                show(waiting.popleft(), people)

    def finish(predictor):
        for people in stream.flush():  # the last frames
            show(waiting.popleft(), people)

    model.add_callback("on_predict_batch_end", take)  # the tracker has given its ids by then
    model.add_callback("on_predict_end", finish)


if __name__ == "__main__":
    from ultralytics import YOLO

    yolo = YOLO("yolo11n-pose.pt")
    smooth_tracks(yolo, show=lambda result, people: print(result.path, people))
    for _ in yolo.track(sys.argv[1], stream=True):
        pass
