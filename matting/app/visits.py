"""The state of each visitor: a folder of results, the last matte, a camera; and error messages."""

import html
import os
import re
import shutil
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any
from uuid import uuid4

import gradio as gr

from runtime.files import explain
from runtime.wording import visible

from ..library import Matting
from .camera import LiveCamera
from .limits import Limits
from .photograph import Photograph

# Events are no interface for other programs, and one at a time has the network.
PRIVATE: dict[str, Any] = {"api_visibility": "private"}
QUEUED: dict[str, Any] = {**PRIVATE, "concurrency_id": "network", "concurrency_limit": 1}

_MOST = 1000  # visits at a time
_KEPT = 2 * 2**30  # bytes of mattes that are held for other backgrounds
# What the command line's messages name, as the page names it.
_LABELS = {
    "--images-src": "Frame",
    "--images-bgr": "Plate",
    "--video-target-bgr": "New background",
    "--target-bgr": "New background",
    "--video-src": "Clip",
    "--video-bgr": "Plate",
    "--bgr-from-frame": "Frame number",
    "; inference_images.py mattes pictures": "; use the tab Photograph",
    " (key b)": "",
}


@dataclass
class Visit:
    """The state of one visitor, until the page is closed."""

    folder: Path
    photograph: Photograph | None = None  # the last one, for other backgrounds
    camera: LiveCamera = field(default_factory=LiveCamera)
    ended: bool = False
    _shown: deque[tuple[Path, ...]] = field(default_factory=deque)

    @property
    def weight(self) -> int:
        """Bytes that the matte takes."""
        if self.photograph is None:
            return 0
        matte = self.photograph.matte
        parts = (matte.alpha, matte.foreground, matte.preparation.bgr, matte.preparation.placed)
        return sum(part.nbytes for part in parts)

    def new_file(self, name: str) -> Path:
        """A path for a result, in a folder of its own; ValueError when the visitor has left."""
        if self.ended:
            raise ValueError("the page was closed")
        folder = self.folder / uuid4().hex
        folder.mkdir(parents=True)
        return folder / name

    def replace(self, *files: Path | None) -> None:
        """Takes note of a composite's files; those before the last one are removed."""
        self._shown.append(tuple(file for file in files if file is not None))
        while len(self._shown) > 2:  # a browser may still load the last one
            for file in self._shown.popleft():
                shutil.rmtree(file.parent, ignore_errors=True)


@dataclass(frozen=True)
class Site:
    """What the tabs share."""

    matting: Matting
    limits: Limits
    visits: "Visits"
    place: str  # where files go, in words


class Visits:
    """The visits of all visitors; their files are below `root`, where Gradio keeps uploads."""

    def __init__(self, root: Path) -> None:
        self.root = Path(os.path.realpath(root))
        self._visits: dict[str, Visit] = {}
        self._lock = Lock()

    def of(self, request: gr.Request) -> Visit:
        """The visit that a request belongs to."""
        with self._lock:
            key = str(request.session_hash)
            if key not in self._visits:
                # A random name: whoever knows the path of a file may download it.
                self._visits[key] = Visit(self.root / uuid4().hex)
            visit = self._visits[key] = self._visits.pop(key)  # the last is the newest
            oldest = list(self._visits)[: max(0, len(self._visits) - _MOST)]
            for other in oldest:  # clients that never close their visit
                self._remove(other)
            return visit

    def end(self, request: gr.Request) -> None:
        """Removes the state and the results of a visitor."""
        with self._lock:
            self._remove(str(request.session_hash))

    def _remove(self, key: str) -> None:
        if (visit := self._visits.pop(key, None)) is not None:
            visit.ended = True
            shutil.rmtree(visit.folder, ignore_errors=True)

    def keep(self, visit: Visit, photograph: Photograph) -> None:
        """Keeps the matte of a visit; above 2 GiB in all, the oldest visits lose theirs."""
        visit.photograph = photograph
        with self._lock:
            total = sum(other.weight for other in self._visits.values())
            for other in self._visits.values():
                if total <= _KEPT or other is visit:
                    continue
                total -= other.weight
                other.photograph = None

    def plain(self, text: object) -> str:
        """A message as a sentence in the page's words: no folders, no flags, no markup."""
        folders = rf"{re.escape(str(self.root))}[\\/](?:[^\\/\s]+[\\/])*"
        words = re.sub(folders, "", visible(text))
        for flag, label in _LABELS.items():
            words = words.replace(flag, label)
        return html.escape(words[:1].upper() + words[1:], quote=False)

    @contextmanager
    def told(self) -> Iterator[None]:
        """Shows errors that a visitor can cause as a sentence on the page."""
        try:
            yield
        except (ValueError, OSError) as error:
            sentence = self.plain(explain(error))
            raise gr.Error(sentence, duration=20, print_exception=False) from error

    def list_notes(self, notes: tuple[str, ...] | list[str], good: str) -> str:
        """Notes as a list in HTML, or what is said where there are none."""
        if not notes:
            return f'<p class="good">{good}</p>'
        items = "".join(f"<li>{self.plain(note)}</li>" for note in dict.fromkeys(notes))
        return f'<ul class="notes">{items}</ul>'
