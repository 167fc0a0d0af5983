"""What a user can change while a camera runs, and the keys that do it."""

from collections.abc import Sequence
from fractions import Fraction

from .backgrounds import Backgrounds
from .keys import KEYS, NUMBERS, Action, Keys
from .settings import Mirror

_MIRRORS: tuple[Mirror, ...] = ("none", "preview", "all")


class Controls:
    """Hears keys and does what they say.

    Args:
        keys: where presses come from.
        backgrounds: that are switched.
        mirror: to begin with.

    Attributes:
        backgrounds: as given.
        mirror: what is mirrored.
        paused: whether nothing is matted.
        text: whether latency and frames a second are on the preview.
        quit: whether the user wants to end.
        snapshot: whether the next picture is to be kept; who keeps it clears this.
    """

    def __init__(self, keys: Sequence[Keys], backgrounds: Backgrounds, mirror: Mirror) -> None:
        self.backgrounds = backgrounds
        self.mirror = mirror
        self.paused = False
        self.text = True
        self.quit = False
        self.snapshot = False
        self._keys = keys

    def hear(self, time: Fraction) -> list[Action]:
        """Does what the keys say that were pressed since the last call.

        Args:
            time: of the camera, seconds.

        Returns:
            The actions, in order, for those who have to do with them.
        """
        actions: list[Action] = []
        for source in self._keys:
            for key in source.pressed(time):
                if key in NUMBERS:
                    self.backgrounds.choose(NUMBERS.index(key))
                elif key in KEYS:
                    self._act(KEYS[key])
                    actions.append(KEYS[key])
        return actions

    def _act(self, action: Action) -> None:
        if action == "mirror":
            self.mirror = _MIRRORS[(_MIRRORS.index(self.mirror) + 1) % len(_MIRRORS)]
        elif action == "next":
            self.backgrounds.next()
        elif action == "pause":
            self.paused = not self.paused
        elif action == "plate":
            self.paused = False
        elif action == "snapshot":
            self.snapshot = True
        elif action == "text":
            self.text = not self.text
        elif action == "quit":
            self.quit = True
