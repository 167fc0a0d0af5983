import json
import os
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from matting.app.limits import Limits
from matting.app.run import Settings, prepare_page

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "demo"


@dataclass(frozen=True)
class Server:
    """The page, served by this process."""

    page: Any
    address: str
    folder: Path

    def upload(self, path: Path, name: str | None = None) -> dict[str, Any]:
        """Uploads a file as a browser does; returns what it hands on then."""
        files = {"files": (name or path.name, path.read_bytes())}
        answer = httpx.post(f"{self.address}gradio_api/upload", files=files, timeout=30)
        answer.raise_for_status()
        return {"path": answer.json()[0], "meta": {"_type": "gradio.FileData"}}

    def event(self, element: str, kind: str = "click") -> int:
        """The number of what happens to an element of the page."""
        config = self.page.config
        known = [c["id"] for c in config["components"] if c["props"].get("elem_id") == element]
        return next(
            d["id"] for d in config["dependencies"] for t in d["targets"] if t == (known[0], kind)
        )

    def ask(self, element: str, data: list[Any], session: str | None = None) -> dict[str, Any]:
        """Does as a click with these values, and returns the last message: success and output."""
        session = session or uuid4().hex
        body = {"data": data, "fn_index": self.event(element), "session_hash": session}
        with httpx.Client(base_url=self.address, timeout=120) as client:
            client.post("gradio_api/queue/join", json=body).raise_for_status()
            url = f"gradio_api/queue/data?session_hash={session}"
            with client.stream("GET", url) as lines:
                for line in lines.iter_lines():
                    message = json.loads(line.removeprefix("data:")) if line else {}
                    if message.get("msg") == "process_completed":
                        return message
        raise AssertionError("the page did not answer")


def need_gradio() -> None:
    """Skips a test where the extra is not installed; in CI, it is an error."""
    if "CI" not in os.environ:
        pytest.importorskip("gradio", reason="the extra app is not installed")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """The page with the shipped weights and small limits."""
    need_gradio()
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_HEARTBEAT_INTERVAL", "0.2")
        patch.setenv("GRADIO_TEMP_DIR", folder)
        limits = Limits(megabytes=20, megapixels=8, seconds=4)
        page, options = prepare_page(replace(Settings(), limits=limits), Path(folder))
        options |= {"server_port": free_port(), "quiet": True, "prevent_thread_lock": True}
        _, address, _ = page.launch(**options)
        yield Server(page, address, Path(folder).resolve())
        page.close(verbose=False)
