"""What a visitor can ask of the server, by a browser or past it."""

import json
import re
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import numpy as np
import pytest
from PIL import Image

from .conftest import DEMO, ROOT, Server

PAIR = DEMO / "src" / "walk.jpg", DEMO / "bgr" / "walk.jpg"
TRANSPARENT = ["Transparent", "#00b140", None]
FOREIGN = "http://93.184.216.34/frame.jpg"  # public, so that Gradio's own check lets it pass


@pytest.fixture
def matted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path, Path]]:
    """The files that the program was given; it refuses them with a sentence."""
    given: list[tuple[Path, Path]] = []

    def refuse(files: tuple[Path, Path], *rest: object) -> None:
        given.append(files)
        raise ValueError(f"given {files[0]}: seen --images-src <b>")

    monkeypatch.setattr("matting.app.tab_photograph.matte_photograph", refuse)
    return given


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that the server asks others for; it gets a picture from them."""
    asked: list[str] = []

    async def answer(self: object, request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(200, content=PAIR[0].read_bytes())

    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", answer)
    return asked


def file_data(path: object, **more: object) -> dict[str, Any]:
    return {"path": str(path), "meta": {"_type": "gradio.FileData"}, **more}


def test_what_is_uploaded_reaches_the_program_as_it_is(
    server: Server, matted: list[tuple[Path, Path]]
) -> None:
    sent = [server.upload(path) for path in PAIR]
    answer = server.ask("cut", [*sent, *TRANSPARENT])
    assert [path.read_bytes() for path in matted[0]] == [path.read_bytes() for path in PAIR]
    assert all(path.is_relative_to(server.folder) for path in matted[0])
    # In the page's words, without the folder, and no markup.
    assert not answer["success"]
    assert answer["output"]["error"] == "Given walk.jpg: seen Frame &lt;b&gt;"


@pytest.mark.parametrize(
    "path", ["/etc/passwd", ROOT / "demo/src/walk.jpg", "demo/src/walk.jpg", "../../etc/passwd"]
)
def test_no_path_of_a_visitor_is_opened(
    server: Server, matted: list[tuple[Path, Path]], path: object
) -> None:
    sent = server.upload(PAIR[1])
    # With Gradio's mark of a file, with another and without.
    named = [file_data(path), file_data(path, meta={"_type": "none"}), {"path": str(path)}]
    for name in named:
        for data in ([name, sent], [sent, name]):
            answer = server.ask("cut", [*data, *TRANSPARENT])
            assert not answer["success"]
        for data in ([name, "Median of the clip", None], [sent, "Picture", name]):
            answer = server.ask("matte", [*data, 0, "WebM (VP9)", *TRANSPARENT])
            assert not answer["success"]
            assert "not a video" not in str(answer["output"])  # which would say that it was opened
        session = uuid4().hex
        answer = server.ask("cut", [sent, sent, "Picture", "#000000", name], session)
        assert not answer["success"]
    assert matted == []
    inside = f"{server.folder}/../{Path(path).name}"
    for url in (path, inside):
        assert httpx.get(f"{server.address}gradio_api/file={url}").status_code in (403, 404)


def test_no_address_of_a_visitor_is_fetched(
    server: Server, matted: list[tuple[Path, Path]], fetched: list[str]
) -> None:
    sent = server.upload(PAIR[1])
    for picture in (
        file_data(FOREIGN),
        file_data("", url=FOREIGN),
        file_data(FOREIGN, url=FOREIGN),
    ):
        server.ask("cut", [picture, sent, *TRANSPARENT])
    status = httpx.get(f"{server.address}gradio_api/file={FOREIGN}").status_code
    assert (fetched, matted, status) == ([], [], 403)


def test_files_go_when_the_visitor_does(server: Server) -> None:
    session = uuid4().hex
    before = set(server.folder.iterdir())
    url = f"{server.address}gradio_api/heartbeat/{session}"
    with httpx.stream("GET", url, timeout=60) as heart:
        beats = heart.iter_lines()  # the connection goes with it
        next(beats)
        sent = [server.upload(path) for path in PAIR]
        answer = server.ask("cut", [*sent, *TRANSPARENT], session)
        assert answer["success"], answer
        uploads = {Path(one["path"]).parent for one in sent}
        (results,) = set(server.folder.iterdir()) - before - uploads
        saved = [path.name for path in results.rglob("*.png")]
        assert sorted(saved) == ["walk.png", "walk_alpha.png"]
    for _ in range(100):
        if not results.exists():
            break
        time.sleep(0.1)
    assert not results.exists()


def test_old_uploads_go_and_examples_stay(server: Server) -> None:
    from gradio.route_utils import delete_files_created_by_app

    sent = Path(server.upload(PAIR[0], "mine.jpg")["path"])
    assert sent.exists()
    delete_files_created_by_app(server.page, 7200)
    assert sent.exists()
    delete_files_created_by_app(server.page, -1)
    assert not sent.exists()
    shown = re.findall(
        r'"(http[^"]*file=[^"]*?\.jpg)"', json.dumps(httpx.get(f"{server.address}config").json())
    )
    assert len(shown) == 4, shown
    assert {httpx.get(url).status_code for url in shown} == {200}


def test_large_files_are_refused(server: Server, tmp_path: Path) -> None:
    (tmp_path / "large.jpg").write_bytes(bytes(21_000_000))
    with pytest.raises(httpx.HTTPStatusError, match="413"):
        server.upload(tmp_path / "large.jpg")


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda path: path.write_text("no picture"), "The frame: not a picture that can be read"),
        (
            lambda path: Image.fromarray(np.zeros((3000, 3000, 3), np.uint8)).save(path, "PNG"),
            "The frame has 3000 x 3000 pixels; this page takes 8 megapixels at most. Make it "
            "smaller, or use the command line",
        ),
        (
            lambda path: Image.fromarray(np.zeros((90, 90, 3), np.uint8)).save(path, "PNG"),
            "Plate and frame have different aspect ratios",
        ),
    ],
)
def test_errors_are_sentences(server: Server, tmp_path: Path, make: Any, sentence: str) -> None:
    make(tmp_path / "frame.jpg")
    sent = [server.upload(path) for path in (tmp_path / "frame.jpg", PAIR[1])]
    answer = server.ask("cut", [*sent, *TRANSPARENT])
    assert not answer["success"]
    assert answer["output"]["error"].startswith(sentence)


def test_what_is_missing_is_named(server: Server) -> None:
    answer = server.ask("cut", [None, None, *TRANSPARENT])
    assert answer["output"]["error"] == "The frame is missing: drop it into its field"
    answer = server.ask("matte", [None, "Picture", None, 0, "WebM (VP9)", *TRANSPARENT])
    assert answer["output"]["error"] == "The clip is missing: drop it into its field"


def test_the_page_names_no_other_host(server: Server) -> None:
    text = httpx.get(server.address).text
    assert "fonts.googleapis" not in text
    assert server.page.analytics_enabled is False
    assert server.address.startswith("http://127.0.0.1:")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:7860", "Origin": "http://localhost:7860"}, 200),
        ({"Host": "[::1]:7860"}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1.evil.example:7860"}, 403),
        ({"Host": "[::1"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost.evil.example"}, 403),
    ],
)
def test_other_sites_can_not_use_a_page_of_this_computer(
    server: Server, headers: dict[str, str], status: int
) -> None:
    url = f"{server.address}gradio_api/upload"
    before = set(server.folder.iterdir())
    sent = {"files": ("a.jpg", str((headers, uuid4())).encode())}
    assert httpx.post(url, files=sent, headers=headers).status_code == status
    assert (set(server.folder.iterdir()) == before) is (status == 403)
    assert httpx.get(server.address, headers=headers).status_code == status
