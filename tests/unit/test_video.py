# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Which files ffmpeg is let near: videos, and nothing that opens other files or never ends."""

import os
import subprocess

import numpy as np
import pytest
from PIL import Image

from lib.utils.errors import SmoothNetError
from lib.visualize.video import container, ffmpeg, open_video, write_mp4

pytest.importorskip("imageio_ffmpeg")


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("video") / "v.mp4"
    write_mp4(path, [Image.new("RGB", (64, 48), (20, 150, 20)) for _ in range(5)], (64, 48), 25)
    return path


@pytest.mark.parametrize(
    ("ending", "kind"),
    [
        ("mp4", "mov"), ("mov", "mov"), ("mkv", "matroska"), ("avi", "avi"), ("flv", "flv"), ("gif", "gif"),
        ("ts", "mpegts"), ("m2ts", "mpegts"), ("mpg", "mpeg"), ("wmv", "asf"), ("ogv", "ogg"),
    ],
)  # fmt: skip
def test_videos_of_every_kind_are_read(video, tmp_path, ending, kind):
    path = tmp_path / f"v.{ending}"
    done = subprocess.run([ffmpeg(), "-y", "-i", str(video), str(path)], capture_output=True)
    if done.returncode:
        pytest.skip("this ffmpeg does not write it")
    disguised = path.rename(tmp_path / "no ending %d")
    assert container(disguised) == kind
    with open_video(disguised) as (size, _, frames):
        pictures = list(frames)
        assert size == (64, 48) and pictures  # some kinds leave out what does not change
        middle = np.asarray(pictures[-1])[20:28, 20:44].reshape(-1, 3).mean(0)
        assert middle[1] > 100 > middle[0]


@pytest.mark.parametrize("name", ["list.mp4", "list.m3u8", "list.txt"])
@pytest.mark.parametrize(
    "content",
    [
        # without #EXT-X-ENDLIST it would be read again for ever
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{video}\n",
        "ffconcat version 1.0\nfile '{video}'\n",
        "[playlist]\nFile1={video}\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n",
        '<?xml version="1.0"?><MPD type="dynamic"></MPD>',
        "",
        "x",
    ],
)
def test_lists_and_descriptions_are_refused(video, tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content.format(video=video))
    with pytest.raises(SmoothNetError, match=f"{name} cannot be read as a video"), open_video(path):
        pass


def test_pictures_pipes_and_addresses_are_refused(video, tmp_path):
    Image.new("RGB", (64, 48)).save(tmp_path / "frame1.png")
    with pytest.raises(SmoothNetError, match="cannot be read as a video"), open_video(tmp_path / "frame1.png"):
        pass
    os.mkfifo(tmp_path / "pipe.mp4")
    for path in (tmp_path / "frame%d.png", tmp_path / "pipe.mp4", f"concat:{video}|{video}", f"file:{video}"):
        with pytest.raises(SmoothNetError, match="there is no video"), open_video(path):
            pass


def test_a_video_that_claims_to_be_huge_is_refused(video, monkeypatch):
    monkeypatch.setattr("lib.visualize.video.LARGEST_FRAME", 64 * 48 - 1)
    with pytest.raises(SmoothNetError, match="64 x 48 pixels"), open_video(video):
        pass


def test_a_damaged_video_is_one_sentence(video, tmp_path):
    (tmp_path / "v.mp4").write_bytes(video.read_bytes()[:60])
    with pytest.raises(SmoothNetError, match=r"v\.mp4 cannot be read as a video"), open_video(tmp_path / "v.mp4"):
        pass
