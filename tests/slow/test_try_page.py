# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The page that smooths in the browser, docs/try/index.html, in a real one."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import threading
import time
import zipfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT
from test_page import OWN, browser, drawing  # noqa: F401  (browser is a fixture)

from lib.browser.page import try_page
from lib.formats import read_recording
from lib.inference.files import smooth_files
from lib.inference.methods import Smoothing
from lib.inference.options import SmoothingOptions
from lib.inference.smoother import Smoother

PAGE = ROOT / "docs/try/index.html"
EVIL = "<img src=x onerror=window.hacked=1>"
PATIENCE = 120  # seconds; the page takes about one


@pytest.fixture
def page(browser, tmp_path):  # noqa: F811
    browser.execute_cdp_cmd(
        "Browser.setDownloadBehavior",
        {"behavior": "allow", "downloadPath": str(tmp_path / "down"), "eventsEnabled": False},
    )
    browser.get_log("browser"), browser.get_log("performance")
    browser.get(PAGE.as_uri())
    yield browser
    assert browser.execute_script("return window.hacked === undefined && document.images.length === 0")
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    assert [url for url in asked if not url.startswith((*OWN, "blob:"))] == []
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


def wait(page, script: str):
    deadline = time.monotonic() + PATIENCE
    while not (value := page.execute_script(f"return {script}")):
        assert time.monotonic() < deadline, (script, page.find_element("id", "status").text)
        time.sleep(0.05)
    return value


def drop(page, files: dict[str, str]) -> None:
    """What the browser does when files are dropped on the page."""
    page.execute_script("document.getElementById('status').textContent = ''")
    page.execute_script(
        "const all = new DataTransfer();"
        "for (const [name, text] of Object.entries(arguments[0])) all.items.add(new File([text], name));"
        "document.dispatchEvent(new DragEvent('drop', {dataTransfer: all, bubbles: true, cancelable: true}))",
        files,
    )


def smoothed(page) -> str:
    return wait(page, "document.getElementById('status').textContent.includes('smoothed in')")


def downloaded(page, folder: Path) -> Path:
    page.find_element("id", "download").click()
    deadline = time.monotonic() + PATIENCE
    while not (found := [p for p in folder.glob("*") if not p.name.endswith(".crdownload")] if folder.is_dir() else []):
        assert time.monotonic() < deadline, "nothing was downloaded"
        time.sleep(0.05)
    return found[0]


def hostile_csv() -> str:
    rng = np.random.default_rng(0)
    t = np.arange(60)[:, None] / 7
    names = [
        f'"{joint}_{axis}"' for joint in (EVIL, "</script><script>hacked=1</script>", "left knee") for axis in "xyz"
    ]
    values = 0.5 * np.sin(t + rng.uniform(0, 6, 9)) + rng.normal(size=(60, 9)) * 0.03
    rows = [",".join(f"{v:.6f}" for v in row) for row in values]
    rows[7] = "," * 8
    return "\n".join([",".join(names), *rows]) + "\n"


def test_the_page_is_up_to_date():
    """After any change of lib/browser/js: python run_scripts/browser.py"""
    assert PAGE.read_text(encoding="utf-8") == try_page()


@pytest.mark.parametrize("strength", ["1", "2.5"])
def test_a_hostile_file_comes_back_smoothed_as_python_does_it(page, tmp_path, strength):
    text = hostile_csv()
    drop(page, {f"a{EVIL}'\"&.csv": text})
    smoothed(page)
    assert page.find_element("id", "title").text == f"a{EVIL}'\"&.csv"
    options = page.execute_script("return [...document.getElementById('joint').options].map(o => o.textContent)")
    assert options[0] == EVIL and "script" in options[1]
    if strength != "1":
        before = drawing(page)
        page.execute_script(
            "const s = document.getElementById('strength'); s.value = arguments[0];"
            "document.getElementById('status').textContent = ''; s.dispatchEvent(new Event('input'))",
            strength,
        )
        smoothed(page)
        assert drawing(page) != before
    result = downloaded(page, tmp_path / "down")
    assert result.suffix == ".csv" and "<" not in result.name
    (tmp_path / "in.csv").write_text(text)
    smooth_files([tmp_path / "in.csv"], tmp_path / "out.csv", Smoothing(SmoothingOptions(strength=float(strength))))
    (ours,), (theirs,) = (read_recording(p).tracks for p in (tmp_path / "out.csv", result.rename(tmp_path / "js.csv")))
    np.testing.assert_allclose(theirs.points, ours.points, atol=1e-4, equal_nan=True)
    assert (tmp_path / "js.csv").read_text().splitlines()[0] == text.splitlines()[0]


def test_frames_of_openpose_together_and_what_is_not_understood(page, tmp_path):
    def frame(t: int) -> str:
        return json.dumps(
            {"people": [{"pose_keypoints_2d": [100.5 + 9 * np.sin(t / 5), 20.25 + t % 3, 0.5] * 4, "x": EVIL}]}
        )

    drop(page, {f"{EVIL}_{t:04d}_keypoints.json": frame(t) for t in range(40)})
    smoothed(page)
    said = page.find_element("id", "status").text
    assert "40 frames" in said and "4 joints" in said
    with zipfile.ZipFile(downloaded(page, tmp_path / "down")) as file:
        assert file.testzip() is None and len(file.namelist()) == 40
        inside = json.loads(file.read(f"{EVIL}_0007_keypoints.json"))
    assert inside["people"][0]["x"] == EVIL and inside["people"][0]["pose_keypoints_2d"][2] == 0.5
    assert inside["people"][0]["pose_keypoints_2d"][1] != 21.25
    for name, text, words in (
        (f"{EVIL}.json", "{", "is not valid JSON"),
        (f"{EVIL}.csv", f"a_x,a_y\n1,2\n{EVIL},3\n4,5\n", "is not a number"),
        (f"{EVIL}.exe", "x", "in no form"),
    ):
        drop(page, {name: text})
        wait(page, "document.getElementById('status').classList.contains('wrong')")
        assert words in page.find_element("id", "status").text and EVIL in page.find_element("id", "status").text
        assert not page.find_element("id", "download").is_enabled() or name.endswith("json")
    drop(page, {"good.csv": hostile_csv()})
    smoothed(page)


def test_live_by_function_call(page):
    rng = np.random.default_rng(0)
    points = (
        np.sin(np.arange(50)[:, None, None] / 6 + rng.uniform(0, 6, (1, 5, 2))) + rng.normal(size=(50, 5, 2)) * 0.02
    )
    out = page.execute_script(
        "return arguments[0].map(f => window.smoothnet.push({keypoints: f}) ?? null)", points.tolist()
    )
    assert out[:8] == [None] * 8
    stream = Smoother.from_checkpoint().stream(8)
    wanted = [stream.push(f) for f in points][8:]
    np.testing.assert_allclose([f["keypoints"] for f in out[8:]], wanted, atol=1e-4)
    wait(page, "document.getElementById('seek').max === '41'")
    assert not page.execute_script("return document.getElementById('player').hidden")


@contextmanager
def websocket(messages: list[str]):
    """A server that sends messages to whoever connects, and its address."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with server, server.accept()[0] as client:
            request = client.recv(65536).decode()
            key = next(
                line.split(": ")[1] for line in request.split("\r\n") if line.lower().startswith("sec-websocket-key")
            )
            proof = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest())
            head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            client.sendall(head + b"Sec-WebSocket-Accept: " + proof + b"\r\n\r\n")
            for message in messages:
                data = message.encode()
                client.sendall(bytes([0x81, 126]) + len(data).to_bytes(2, "big") + data)
            client.settimeout(PATIENCE)
            client.recv(100)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"ws://127.0.0.1:{server.getsockname()[1]}"
    thread.join(10)


def test_live_from_a_websocket(page):
    people = [{"people": [{"id": EVIL, "keypoints": [[np.sin(t / 5) + k, k] for k in range(30)]}]} for t in range(30)]
    with websocket([json.dumps(frame) for frame in people]) as address:
        page.execute_script("document.getElementById('live').open = true")
        page.find_element("id", "address").send_keys(address)
        page.find_element("id", "listen").click()
        wait(page, "document.getElementById('status').textContent === 'Live: 30 frames'")
        assert page.find_element("id", "listen").text == "Disconnect"
        page.find_element("id", "listen").click()
    assert page.find_element("id", "listen").text == "Connect"


def test_it_fits_a_phone_and_is_used_by_keys(page):
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    )
    try:
        page.find_element("id", "example").send_keys("\ue007")  # enter
        smoothed(page)
        assert page.execute_script("return document.documentElement.scrollWidth") == 390
        assert page.find_element("css selector", "#choice [aria-pressed=true]").text == "Overlay"
        body = page.find_element("tag name", "body")
        body.send_keys("\ue014\ue014")  # right arrow
        assert page.execute_script("return document.getElementById('seek').value") == "2"
        page.find_element("id", "strength").send_keys("\ue014")  # moves the slider, not the frame
        assert page.execute_script("return document.getElementById('seek').value") == "2"
        assert page.find_element("id", "strength-now").text == "1.1"
        smoothed(page)
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
