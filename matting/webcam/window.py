"""The preview window, of tkinter, which Python brings along where it was built with it."""

from fractions import Fraction
from typing import Any, Protocol

import numpy as np
from PIL import Image

from .settings import Preview


class Window(Protocol):
    """Shows pictures and hears keys; of one thread."""

    closed: bool

    def show(self, picture: np.ndarray) -> None:
        """Shows a picture.

        Args:
            picture: (H, W, 3) uint8, RGB.
        """

    def pressed(self, time: Fraction) -> list[str]:
        """Hands over keys; see `Keys`."""

    def close(self) -> None:
        """Takes the window from the screen."""


class TkWindow:
    """A window as large as the picture; closing it is a wish to quit.

    Args:
        title: of the window.

    Attributes:
        closed: whether the user has closed it.

    Raises:
        ValueError: when there is no tkinter or no screen; says what to do.
    """

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
        self.closed = False
        self._make_photo = ImageTk.PhotoImage
        self._photo: Any = None
        self._keys: list[str] = []
        self._root.title(title)
        self._root.resizable(False, False)
        self._label = tkinter.Label(self._root, borderwidth=0)
        self._label.pack()
        self._root.bind("<Key>", lambda event: self._keys.append(event.keysym.lower()))
        self._root.protocol("WM_DELETE_WINDOW", self._note_close)

    def show(self, picture: np.ndarray) -> None:
        """Shows a picture; see `Window`."""
        image = Image.fromarray(picture)
        if self._photo is None:
            self._photo = self._make_photo(image, master=self._root)
            self._label.configure(image=self._photo)
        else:
            self._photo.paste(image)
        self._root.update()

    def pressed(self, time: Fraction) -> list[str]:
        """Keys that were pressed; see `Window`."""
        self._root.update()
        keys, self._keys = self._keys, []
        return keys

    def close(self) -> None:
        """Takes the window from the screen."""
        self._root.destroy()

    def _note_close(self) -> None:
        self.closed = True


def open_window(preview: Preview, other_outputs: bool) -> tuple[TkWindow | None, list[str]]:
    """Opens the preview window where that is wanted and possible.

    Args:
        preview: yes, no, or auto: only if possible.
        other_outputs: whether there is another output, so that it can be done without.

    Returns:
        The window or None, and what a user should know, in words.

    Raises:
        ValueError: when it is needed and not possible, or there is no output at all.
    """
    if preview == "no":
        if not other_outputs:
            raise ValueError(
                "nothing would come out; add --record FILE.mp4 or --virtual-camera, or leave "
                "--preview no away"
            )
        return None, []
    try:
        return TkWindow("Background matting"), []
    except ValueError as error:
        if preview == "auto" and other_outputs:
            return None, [f"no preview: {error}"]
        raise ValueError(
            f"{error}. Without a preview use --preview no and --record FILE.mp4 or --virtual-camera"
        ) from error
