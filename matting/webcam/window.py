"""The preview window, with tkinter, which most builds of Python include."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Literal

import cv2
import numpy as np
from PIL import Image

Preview = Literal["auto", "yes", "no"]

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_LINES = 24  # lines of text that would fit on the picture
# Offsets of the text's edge in pixels. A thicker stroke would be wider in OpenCV 5.
_EDGE = tuple((x, y) for x in (-1, 0, 1) for y in (-1, 0, 1) if x or y)


class Window:
    """A window as large as the picture, for one thread; ValueError without tkinter or a screen."""

    def __init__(self, title: str) -> None:
        try:
            import tkinter

            from PIL import ImageTk
        except ImportError as error:
            raise ValueError(
                f"a preview window needs tkinter, which this Python lacks ({error}); install it "
                "(python3-tk on Debian and Ubuntu, python-tk with Homebrew)"
            ) from error
        try:
            self._root = tkinter.Tk()
        except tkinter.TclError as error:
            raise ValueError(f"there is no screen for a preview window ({error})") from error
        self.closed = False  # whether the user closed it, to quit
        self._make_photo = ImageTk.PhotoImage
        self._photo: Any = None
        self._keys: list[str] = []
        self._root.title(title)
        self._root.resizable(False, False)
        self._label = tkinter.Label(self._root, borderwidth=0)
        self._label.pack()
        self._root.bind("<Key>", lambda event: self._keys.append(event.keysym.lower()))
        self._root.protocol("WM_DELETE_WINDOW", lambda: setattr(self, "closed", True))

    def show(self, picture: np.ndarray) -> None:
        """Shows a picture, (H, W, 3) uint8, RGB."""
        image = Image.fromarray(picture)
        if self._photo is None:
            self._photo = self._make_photo(image, master=self._root)
            self._label.configure(image=self._photo)
        else:
            self._photo.paste(image)
        self._root.update()

    def pressed(self, time: Fraction) -> list[str]:
        """Returns the pressed keys; see `Keys`."""
        self._root.update()
        keys, self._keys = self._keys, []
        return keys

    def close(self) -> None:
        """Closes the window."""
        self._root.destroy()


def open_window(preview: Preview, other_outputs: bool) -> tuple[Window | None, list[str]]:
    """Opens the preview if wanted and possible, else returns notes; ValueError if it is needed."""
    if preview == "no" and other_outputs:
        return None, []
    if preview == "no":
        raise ValueError(
            "there would be no output; add --record FILE.mp4 or --virtual-camera, or remove "
            "--preview no"
        )
    try:
        return Window("Background matting"), []
    except ValueError as error:
        if preview == "auto" and other_outputs:
            return None, [f"no preview: {error}"]
        raise ValueError(
            f"{error}. Without a preview use --preview no and --record FILE.mp4 or --virtual-camera"
        ) from error


def draw_text(picture: np.ndarray, lines: Sequence[str]) -> np.ndarray:
    """Writes ASCII, white with a dark edge, into the corner of a copy of (H, W, 3) uint8, RGB."""
    drawn = np.ascontiguousarray(picture).copy()
    step = max(10, drawn.shape[0] / _LINES)
    scale = step / 34
    thickness = max(1, round(scale * 2))
    for number, line in enumerate(lines, 1):
        left, bottom = round(step / 2), round(number * step)
        text = line.encode("ascii", "replace").decode()
        for x, y in (*_EDGE, (0, 0)):
            colour = (0, 0, 0) if x or y else (255, 255, 255)
            place = left + x, bottom + y
            cv2.putText(drawn, text, place, _FONT, scale, colour, thickness, cv2.LINE_AA)
    return drawn
