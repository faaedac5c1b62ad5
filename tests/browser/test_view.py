"""`reachy-kit view`: a person at a browser sees the robot and moves it; a film is made without one."""

import signal
import socket
import urllib.error
import urllib.request

import cv2
import imageio.v3 as iio
import numpy as np
import pytest

HEAD_ROLL, SHOWN_ROLL = 3, "[data-axis='head_roll.pos']"


ROBOT = {"x": 0, "y": 0, "width": 400, "height": 480}
"""Where the page shows the robot: left of the panel."""


def shown_by(page):
    """(H, W, 3) of the robot as the browser shows it."""
    shown = np.frombuffer(page.screenshot(clip=ROBOT), dtype=np.uint8)
    return cv2.imdecode(shown, cv2.IMREAD_COLOR).astype(np.int16)


def differs(before, after):
    """Share of the pixels that differ."""
    return float(np.mean(np.abs(after - before).max(axis=-1) > 25))


def test_a_person_tilts_the_head_with_a_slider_and_sees_it_tilt(start_viewer, open_page, until):
    viewer = start_viewer("--policy", "none", "--task", "look_at", "--seed", 1)
    page = open_page(viewer.url, webgl=True)
    page.wait_for_selector("[data-driver]", state="attached")
    assert page.url != viewer.url + "/", "the browser has WebGL and should have been led to the 3D view"
    until(lambda: shown_by(page).std() > 20)  # the robot has arrived in the browser
    before = shown_by(page)
    page.get_by_role("slider").nth(HEAD_ROLL).press("End")
    page.wait_for_function(f'Number(document.querySelector("{SHOWN_ROLL}").textContent) > 15')
    assert page.locator("[data-driver]").text_content() == "you"
    assert viewer.measured("head roll") == pytest.approx(20, abs=5)
    until(lambda: differs(before, shown_by(page)) > 0.005)

    page.get_by_role("button", name="Hand back").click()
    page.wait_for_function("document.querySelector('[data-driver]').textContent == 'none'")


@pytest.mark.long
def test_pause_step_and_reset(start_viewer, open_page):
    viewer = start_viewer("--task", "track", "--seed", 5, "--paused")
    page = open_page(viewer.url, webgl=True)
    page.wait_for_function("document.querySelector('[data-time]')?.textContent == '0.00'")
    for steps in (1, 2):
        page.get_by_role("button", name="Step").click()
        page.wait_for_function(f"document.querySelector('[data-time]').textContent == '{steps * 0.04:.2f}'")
    page.get_by_role("button", name="Resume").click()
    page.wait_for_function("Number(document.querySelector('[data-time]').textContent) > 0.3")
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Resume").wait_for()
    held = viewer.state
    page.get_by_role("button", name="Reset").click()
    page.wait_for_function(f"document.querySelector('[data-seed]').textContent == '{held['seed'] + 1}'")
    assert viewer.state["time"] == 0.0
    assert viewer.state["paused"]


def test_without_webgl_the_robot_is_shown_and_steered_in_images(start_viewer, open_page, until):
    viewer = start_viewer("--policy", "none", "--task", "look_at", "--seed", 2)
    page = open_page(viewer.url, webgl=False)
    page.wait_for_function("document.getElementById('robot').naturalWidth == 640")
    assert page.url == viewer.url + "/"
    before, yaw = shown_by(page), viewer.measured("head yaw")
    assert before.std() > 20, "an empty image"
    goal = round(yaw) - 30 if yaw > 0 else round(yaw) + 30
    slider = page.get_by_label("head yaw (°)")
    slider.focus()
    slider.fill(str(goal))
    until(lambda: abs(viewer.measured("head yaw") - goal) < 3)
    assert viewer.state["driver"] == "you"
    until(lambda: differs(before, shown_by(page)) > 0.01)
    page.wait_for_function("document.getElementById('camera').naturalWidth > 0")


@pytest.mark.long
def test_another_variant_starts_another_episode(start_viewer, open_page, until):
    viewer = start_viewer("--task", "look_at", "--policy", "none", "--variant", "sluggish", "--paused")
    page = open_page(viewer.url, webgl=True)
    page.wait_for_selector("[data-driver]", state="attached")
    page.get_by_role("button", name="Step").click()
    until(lambda: viewer.state["time"] > 0)
    chosen = page.get_by_role("combobox", name="variant")
    chosen.scroll_into_view_if_needed()
    chosen.click()
    page.get_by_role("option", name="training").click()
    until(lambda: viewer.state["variant"] == "training" and viewer.state["time"] == 0.0)
    assert viewer.command.poll() is None


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)])
def test_it_ends_cleanly(number, start_viewer):
    viewer = start_viewer("--paused", "--policy", "none")
    viewer.command.send(number)
    assert viewer.command.wait().code == 128 + number
    assert "Traceback" not in viewer.printed


def test_a_page_from_elsewhere_may_not_press_buttons(start_viewer):
    viewer = start_viewer("--paused", "--policy", "none")
    request = urllib.request.Request(f"{viewer.url}/pause", method="POST", headers={"Origin": "http://elsewhere"})
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(request, timeout=10)
    assert viewer.state["paused"]


def test_a_port_in_use_is_reported_in_one_line(kit):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = kit.run("view", "--no-browser", "--port", port)
    ended.says(1, f"127.0.0.1:{port}", "--port")


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("--task", "juggle"), "no task is called 'juggle'"),
        (("--variant", "lunar"), "has no variant 'lunar'"),
        (("--policy", "unknown"), "unknown is neither a run"),
        (("--out", "film.avi"), ".mp4 or .gif"),
        (("--out", "nowhere/film.gif"), "no folder"),
    ],
    ids=lambda value: value[1] if isinstance(value, tuple) else "",
)
def test_what_does_not_exist_is_wrong_use(arguments, words, kit):
    ended = kit.run("view", "--no-browser", *arguments, *(() if "--out" in arguments else ("--port", 0)))
    assert ended.code == 2
    assert words in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("name", [pytest.param("film.gif", marks=pytest.mark.long), "film.mp4"])
def test_a_film_shows_the_robot_move(name, kit, tmp_path):
    out = tmp_path / "films" / name
    out.parent.mkdir()
    size = ("--seconds", 0.8, "--width", 240)
    ended = kit.run("view", "--no-browser", "--out", out, *size, "--task", "look_at", "--seed", 1)
    assert ended.code == 0, ended.err
    assert str(out) in ended.out
    film = iio.imread(out, plugin="pillow" if name.endswith("gif") else "pyav")
    assert film.shape == (10, 180, 240, 3)
    assert differs(film[0].astype(np.int16), film[-1].astype(np.int16)) > 0.005
    assert [path.name for path in out.parent.iterdir()] == [name]
