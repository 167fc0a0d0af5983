"""What the pictures of the documentation are made from, and what several of them need."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class MissingSourceError(ValueError):
    """What a picture is made from is not there."""


@dataclass(frozen=True)
class Sources:
    """Files that are not part of the repository.

    Attributes:
        photographs: folder of wallpapers, by the names that demo/CREDITS.md and docs/synthetic.md
            give their authors.
        clip: OpenCV's vtest.avi, of a camera that stands still.
        log: TensorBoard files of a run of configs/synthetic_base.yaml, or None.
    """

    photographs: Path
    clip: Path
    log: Path | None = None

    def find_photographs(self, pattern: str) -> list[Path]:
        """Finds photographs by a pattern of their names.

        Raises:
            MissingSourceError: when there is none.
        """
        found = sorted(self.photographs.glob(pattern))
        if not found:
            raise MissingSourceError(f"--photographs {self.photographs} holds no {pattern}")
        return found

    def find_clip(self) -> Path:
        """Returns the clip.

        Raises:
            MissingSourceError: when it is missing.
        """
        if not self.clip.is_file():
            raise MissingSourceError(f"--clip {self.clip} is missing")
        return self.clip.resolve()


def call_script(script: str, *arguments: object, folder: Path = ROOT) -> None:
    """Runs a script of the repository in a folder, and shows only its errors.

    Raises:
        ValueError: when it fails.
    """
    command = [sys.executable, str(ROOT / script), *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL)  # noqa: S603
    if done.returncode:
        raise ValueError(f"{script} failed; its own message is above")
