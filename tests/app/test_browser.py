"""The page in a real browser: all tabs, from files to files, by mouse, keyboard and phone.

With APP_PICTURES=docs/pictures in the environment, it writes the pictures of docs/app.md.
"""

import base64
import os
import re
import shutil
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from ..conftest import RunScript
from .conftest import DEMO, Server

pytestmark = pytest.mark.slow

PORTRAIT = DEMO / "src" / "portrait.jpg", DEMO / "bgr" / "portrait.jpg"
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 375, "height": 812}
GREEN = (0, 177, 64)
# Seconds that the camera shows the plate, enough for a busy machine to take it, and the subject.
EMPTY, FULL = 35, 45
WAIT = 120_000  # ms for a result on a busy machine


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What Chromium takes for a camera: a frame a second, of the plate and then of the frame."""
    path = tmp_path_factory.mktemp("camera") / "camera.y4m"
    src, bgr = (np.asarray(Image.open(file).resize((640, 480))) for file in PORTRAIT)
    with path.open("wb") as file:
        file.write(b"YUV4MPEG2 W640 H480 F1:1 Ip A1:1 C420jpeg\n")
        for picture in [bgr] * EMPTY + [src] * FULL:
            frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format="yuv420p")
            file.write(b"FRAME\n" + frame.to_ndarray().tobytes())
    return path


@pytest.fixture(scope="module")
def browser(camera: Path) -> Iterator[Any]:
    """Debian's Chromium, or Chrome, with a camera of its own."""
    names = ("chromium", "chromium-browser", "google-chrome")
    program = next(filter(None, map(shutil.which, names)), None)
    if program is None:
        missing = f"none of {', '.join(names)} is installed"
        if "CI" in os.environ:
            pytest.fail(missing)
        pytest.skip(missing)
    if "CI" not in os.environ:
        pytest.importorskip("playwright", reason="playwright is not installed")
    from playwright.sync_api import sync_playwright

    options = [
        *("--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"),
        f"--use-file-for-fake-video-capture={camera}",
    ]
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=program, args=options) as launched,
    ):
        yield launched


OpenPage = Callable[..., Any]


@pytest.fixture
def open_page(browser: Any, server: Server) -> Iterator[OpenPage]:
    """Opens the page; at the end, nothing may have been asked of another host, nor gone wrong."""
    hosts, wrong, contexts = set(), [], []

    def open_one(tab: str, viewport: dict[str, int] = DESKTOP) -> Any:
        context = browser.new_context(viewport=viewport, accept_downloads=True)
        context.set_default_timeout(30_000)
        page = context.new_page()
        contexts.append(context)
        page.on("request", lambda request: hosts.add(request.url.split("/")[2]))
        page.on("dialog", lambda dialog: wrong.append(f"dialog {dialog.message}"))
        page.on("pageerror", lambda error: wrong.append(f"error {error}"))
        page.goto(server.address)
        for late in ("#cut", "#plate button", "#examples img"):  # Gradio loads field by field
            page.locator(late).last.wait_for()
        page.get_by_role("tab", name=tab).click()
        return page

    yield open_one
    for context in contexts:
        context.close()
    here = server.address.split("/")[2]
    assert hosts - {""} == {here}  # data: and blob: have none
    assert wrong == []


def drop(page: Any, element: str, path: Path) -> None:
    """Hands a file to a field, and waits until it is there."""
    page.locator(f"#{element} input[type=file]").set_input_files(path)
    page.locator(f"#{element} :is(img, video)").first.wait_for()


def save(page: Any, element: str, path: Path) -> Path:
    """Downloads by a button."""
    with page.expect_download() as download:
        page.locator(f"#{element}").click()
    download.value.save_as(path)
    return path


def cut_portrait(page: Any) -> None:
    drop(page, "frame", PORTRAIT[0])
    drop(page, "plate", PORTRAIT[1])
    page.locator("#cut").click()
    page.locator("#slider img").nth(1).wait_for(timeout=WAIT)


def take_picture(page: Any, name: str) -> None:
    """Writes a picture of the page for the documentation, if that is asked for."""
    if folder := os.environ.get("APP_PICTURES"):
        page.mouse.move(5, 400)
        page.wait_for_timeout(1000)
        page.screenshot(
            path=Path(folder, name), quality=90, full_page=page.viewport_size == DESKTOP
        )


def shown_error(page: Any) -> str:
    toast = page.locator(".toast-body").first
    toast.wait_for()
    return toast.inner_text()


def close_error(page: Any) -> None:
    """Closes an error, and waits until it has faded away."""
    page.get_by_label("Close").first.click()
    page.locator(".toast-body").first.wait_for(state="detached")


def test_a_photograph_is_what_the_script_writes(
    open_page: OpenPage, run_forked: RunScript, tmp_path: Path
) -> None:
    page = open_page("Photograph")
    cut_portrait(page)
    assert "The capture is good." in page.locator("#photograph-notes").inner_text()
    take_picture(page, "app_photograph.jpg")
    com = save(page, "save-com", tmp_path / "com.png")
    pha = save(page, "save-pha", tmp_path / "pha.png")
    page.locator("#photograph-kind").get_by_label("Blur").check()
    over = save(page, "save-over", tmp_path / "over.png")

    pair = ("--images-src", PORTRAIT[0], "--images-bgr", PORTRAIT[1])
    run_forked(*pair, "--output-dir", tmp_path / "a").check(0)
    run_forked(*pair, "--output-dir", tmp_path / "b", "--target-bgr", "blur").check(0)
    assert com.read_bytes() == (tmp_path / "a" / "com" / "portrait.png").read_bytes()
    assert Image.open(com).mode == "RGBA"
    assert pha.read_bytes() == (tmp_path / "a" / "pha" / "portrait.png").read_bytes()
    assert over.read_bytes() == (tmp_path / "b" / "com" / "portrait.png").read_bytes()


def test_an_example_is_matted_by_a_click(open_page: OpenPage) -> None:
    page = open_page("Photograph")
    page.locator("#examples img").nth(3).click()
    page.locator("#slider img").nth(1).wait_for(timeout=WAIT)
    assert "560 x 420 pixels" in page.locator("#photograph-notes").inner_text()
    page.locator("#photograph-kind").get_by_label("Picture").check()
    drop(page, "photograph-picture", PORTRAIT[1])
    page.locator("#save-over").wait_for()


def test_errors_are_sentences(open_page: OpenPage, tmp_path: Path) -> None:
    page = open_page("Photograph")
    page.locator("#cut").click()
    assert "The frame is missing: drop it into its field" in shown_error(page)
    text = tmp_path / "<img src=x onerror=alert(1)>.jpg"
    text.write_text("no picture")
    close_error(page)
    page.locator("#frame input[type=file]").set_input_files(text)
    drop(page, "plate", PORTRAIT[1])
    page.locator("#frame img").first.wait_for(state="attached")
    page.locator("#cut").click()
    assert "The frame: not a picture that can be read" in shown_error(page)
    close_error(page)
    square = tmp_path / "square.png"
    Image.open(PORTRAIT[0]).resize((300, 300)).save(square)
    page.locator("#frame button[aria-label='Remove Image']").click()
    drop(page, "frame", square)
    page.locator("#cut").click()
    assert "Plate and frame have different aspect ratios" in shown_error(page)


def test_the_keyboard_reaches_all(open_page: OpenPage, tmp_path: Path) -> None:
    page = open_page("Photograph")
    # Playwright begins to catch the system's dialogs with the first listener, some time after it.
    page.on("filechooser", lambda chooser: None)
    page.get_by_role("tab", name="Photograph").focus()

    def tab_to(selector: str, most: int = 12) -> None:
        for _ in range(most):
            page.keyboard.press("Tab")
            if page.evaluate("s => !!document.activeElement.closest(s)", selector):
                outline = "getComputedStyle(document.activeElement).outlineStyle"
                assert page.evaluate(outline) != "none", f"{selector}: no visible focus"
                return
        raise AssertionError(f"Tab does not reach {selector}")

    for element, path in zip(("frame", "plate"), PORTRAIT, strict=True):
        tab_to(f"#{element}", 6)
        with page.expect_file_chooser() as chooser:
            page.keyboard.press("Enter")
        chooser.value.set_files(path)
        page.locator(f"#{element} img").wait_for()
    tab_to("#cut")
    page.keyboard.press("Enter")
    page.locator("#slider img").nth(1).wait_for(timeout=WAIT)
    tab_to("#photograph-kind", 20)
    page.keyboard.press("ArrowRight")
    tab_to("#save-com")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename == "portrait.png"


def test_it_fits_a_phone(open_page: OpenPage) -> None:
    page = open_page("Photograph", PHONE)
    page.locator("#examples img").nth(2).click()
    page.locator("#slider img").nth(1).wait_for(timeout=WAIT)
    take_picture(page, "app_phone.jpg")
    for tab, controls in (
        ("Photograph", ("frame", "plate", "cut", "photograph-kind", "save-com", "alpha")),
        ("Video", ("clip", "plate-from", "video-kind", "codec", "matte")),
        ("Camera", ("webcam", "countdown", "take", "camera-kind", "live")),
    ):
        page.get_by_role("tab", name=tab).click()
        page.locator(f"#{controls[0]}").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        for control in controls:
            box = page.locator(f"#{control}").bounding_box()
            assert box is not None, control
            assert box["x"] >= 0, control
            assert box["x"] + box["width"] <= PHONE["width"], control
            assert box["height"] >= 24, control  # WCAG 2.2, target size


def test_a_clip_is_what_the_script_writes(
    open_page: OpenPage, run_video: RunScript, clips: Any, tmp_path: Path
) -> None:
    src, bgr = (np.asarray(Image.open(file).resize((640, 480))) for file in PORTRAIT)
    clip = clips.write(tmp_path / "clip.mp4", [bgr] * 2 + [src] * 6)
    page = open_page("Video")
    drop(page, "clip", clip)
    assert not page.get_by_label("Trim video to selection").is_visible()
    page.locator("#plate-from").get_by_label("Frame of the clip").check()
    page.locator("#matte").click()
    page.locator("#preview video").wait_for(timeout=WAIT)
    assert "(WEBM, " in page.locator("#save-video").inner_text()
    webm = save(page, "save-video", tmp_path / "page.webm")
    page.locator("#preview video").evaluate("v => {v.pause(); v.currentTime = v.duration}")
    take_picture(page, "app_video.jpg")
    arguments = ("--video-src", clip, "--bgr-from-frame", 0, "--codec", "vp9")
    run_video(*arguments, "--output-types", "com", "--output-dir", tmp_path / "out").check(0)
    page_frames, script_frames = (
        clips.read(path, "rgba", "libvpx-vp9") for path in (webm, tmp_path / "out" / "com.webm")
    )
    assert len(page_frames) == 8
    np.testing.assert_array_equal(page_frames, script_frames)

    # Over a colour, with the median as plate and then a picture: an MP4, which is the preview.
    page.locator("#video-kind").get_by_label("Colour").check()
    for plate in ("Median of the clip", "Picture"):
        page.locator("#plate-from").get_by_label(plate).check()
        if plate == "Picture":
            drop(page, "clip-plate", PORTRAIT[1])
        before = page.locator("#preview video").get_attribute("src")
        page.locator("#matte").click()
        page.wait_for_function(
            "b => document.querySelector('#preview video')?.getAttribute('src') !== b",
            arg=before,
            timeout=WAIT,
        )
    over = clips.read(save(page, "save-video", tmp_path / "page.mp4"))
    arguments = ("--video-src", clip, "--video-bgr", PORTRAIT[1], "--video-target-bgr", "#00b140")
    run_video(*arguments, "--output-types", "com", "--output-dir", tmp_path / "over").check(0)
    np.testing.assert_array_equal(over, clips.read(tmp_path / "over" / "com.mp4"))


def test_the_camera_is_matted_live(open_page: OpenPage) -> None:
    page = open_page("Camera")
    page.locator("#camera-kind").get_by_label("Colour").check()
    page.locator("#countdown").get_by_label("3 s").check()
    page.locator("#webcam").get_by_text("Click to Access Webcam").click()
    page.locator("#webcam").get_by_text("Record").click()
    text = page.locator("#live figcaption")
    text.get_by_text("No plate yet").wait_for()
    page.locator("#take").click()
    text.get_by_text("Step out of the picture: plate in").wait_for()
    text.get_by_text("Taking the plate").wait_for()
    text.get_by_text("frames/s").wait_for()
    rate = re.fullmatch(r"(\d+) ms, ([\d.]+) frames/s", text.inner_text())
    assert rate
    assert float(rate[2]) > 0.2

    def composite() -> np.ndarray:
        url = page.locator("#live img").get_attribute("src")
        data = base64.b64decode(url.partition(",")[2])
        return np.asarray(Image.open(BytesIO(data))).astype(int)

    def green(part: np.ndarray) -> float:
        return float((np.abs(part - GREEN).max(-1) < 30).mean())

    def wait_for(sky: tuple[float, float]) -> None:
        """Waits for a picture with the suit, and this share of green in the sky.

        The camera's clip begins again when it ends: the subject may have to come once more.
        """
        seen = []
        for _ in range(2 * (EMPTY + FULL)):
            now = composite()
            seen.append((green(now[:80, :160]), green(now[300:, 300:420])))
            if sky[0] <= seen[-1][0] <= sky[1] and seen[-1][1] < 0.05:
                return
            page.wait_for_timeout(1000)
        pytest.fail(f"green in the sky and on the suit: {seen}")

    wait_for((0.98, 1.0))
    page.locator("#camera-kind").get_by_label("Blur").check()
    wait_for((0.0, 0.05))
    take_picture(page, "app_camera.jpg")
    page.locator("#webcam").get_by_text("Stop").click()
