# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The page that plays the motion, in a real browser."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from lib.visualize import make_clip, motion_curves, write_clip

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-quic", "--window-size=1280,1200",
)  # fmt: skip
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
OWN = ("file:", "data:", "chrome:", "chrome-untrusted:")  # the page, and the browser's own new-tab page


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if not CHROMIUM or not DRIVER:
        pytest.skip("needs Chromium and ChromeDriver (Debian: apt-get install chromium chromium-driver)")
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium (pip install selenium)")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


def make_page(folder: Path, dims: int = 3) -> Path:
    t = np.arange(60)[:, None, None] / 8
    rng = np.random.default_rng(0)
    motion = rng.normal(size=(1, 17, dims)) * 0.4 + 0.3 * np.sin(t + rng.uniform(0, 6, size=(1, 17, dims)))
    noisy = motion + rng.normal(size=motion.shape) * 0.05
    noisy[20:23] = np.nan
    series = {"input": noisy, "smoothed": motion * 0.98, "ground truth": motion}
    clip = make_clip(series, fps=30, unit="m", title="A clip", skeleton="h36m17", curves=motion_curves(series, "m"))
    return write_clip(clip, folder / "clip.html")


@pytest.fixture(params=[3, 2])
def page(request, browser, tmp_path):
    browser.get_log("browser"), browser.get_log("performance")
    browser.get(make_page(tmp_path, request.param).as_uri())
    browser.dims = request.param
    return browser


def drawing(browser) -> str:
    """The poses as drawn, as a data address."""
    return browser.execute_script("return document.getElementById('stage').toDataURL()")


def frame(browser) -> int:
    return int(browser.execute_script("return document.getElementById('seek').value"))


def button(browser, text: str):
    buttons = browser.find_elements("tag name", "button")
    return next(b for b in buttons if b.text == text)


def test_loads_without_an_error_and_asks_for_nothing(page):
    assert page.title == "A clip"
    time.sleep(0.3)
    assert [entry for entry in page.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []
    messages = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    asked = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    assert [url for url in asked if not url.startswith(OWN)] == []
    assert len([url for url in asked if url.startswith("file:")]) <= 1  # the page itself


def test_play_advances_and_stops(page):
    assert frame(page) == 0
    button(page, "Play").click()
    deadline = time.monotonic() + 20
    while frame(page) < 5 and time.monotonic() < deadline:
        time.sleep(0.05)
    button(page, "Pause").click()
    stopped = frame(page)
    assert stopped >= 5
    time.sleep(0.3)
    assert frame(page) == stopped


def test_the_choice_of_poses_changes_the_drawing(page):
    pictures = set()
    for text in ("Input", "Smoothed", "Ground truth", "Side by side"):
        button(page, text).click()
        assert button(page, text).get_attribute("aria-pressed") == "true"
        pictures.add(drawing(page))
    assert len(pictures) == 4
    pressed = page.find_elements("css selector", "#choice [aria-pressed=true]")
    assert len(pressed) == 1


def test_keys_step_play_and_choose(page):
    keys = pytest.importorskip("selenium.webdriver.common.keys").Keys
    body = page.find_element("tag name", "body")
    body.send_keys(keys.ARROW_RIGHT, keys.ARROW_RIGHT, keys.ARROW_LEFT)
    assert frame(page) == 1
    body.send_keys(keys.END)
    assert frame(page) == 59
    body.send_keys(keys.HOME)
    assert frame(page) == 0
    before = drawing(page)
    body.send_keys("1")
    assert button(page, "Input").get_attribute("aria-pressed") == "true" and drawing(page) != before
    body.send_keys(keys.SPACE)
    assert page.find_element("id", "play").text == "Pause"
    body.send_keys(keys.SPACE)
    assert page.find_element("id", "play").text == "Play"


def test_scrubbing_and_dragging(page):
    chains = pytest.importorskip("selenium.webdriver.common.action_chains").ActionChains
    before = drawing(page)
    page.execute_script("const s = document.getElementById('seek'); s.value = 30; s.dispatchEvent(new Event('input'))")
    assert frame(page) == 30 and "frame 30 · 1.00 s" in page.find_element("id", "now").text
    moved = drawing(page)
    assert moved != before
    stage = page.find_element("id", "stage")
    chains(page).move_to_element(stage).click_and_hold().move_by_offset(120, 30).release().perform()
    assert (drawing(page) != moved) == (page.dims == 3)  # only 3D turns
    if page.dims == 3:
        button(page, "Reset view").click()
        assert drawing(page) == moved


def test_curves_follow_the_joint_and_the_cursor_the_frame(page):
    canvases = page.find_elements("css selector", "figure canvas")
    assert len(canvases) == 2 + page.dims

    def shown() -> list[str]:
        script = "return [...document.querySelectorAll('figure canvas')].map(c => c.toDataURL())"
        return page.execute_script(script)

    start = shown()
    page.find_element("tag name", "body").send_keys(*["\ue014"] * 9)  # right arrow
    assert all(a != b for a, b in zip(start, shown(), strict=True)), "a cursor stands still"
    ninth = shown()
    page.execute_script(
        "const j = document.getElementById('joint'); j.value = (Number(j.value) + 5) % 17;"
        "j.dispatchEvent(new Event('change'))"
    )
    other = shown()
    assert other[:2] == ninth[:2] and all(a != b for a, b in zip(ninth[2:], other[2:], strict=True))


def test_frames_without_a_person_say_so_and_the_dark_theme_draws_anew(page):
    button(page, "Input").click()
    page.execute_script("const s = document.getElementById('seek'); s.value = 21; s.dispatchEvent(new Event('input'))")
    light = drawing(page)
    page.find_element("id", "theme").click()
    assert drawing(page) != light
    assert [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE"] == []
