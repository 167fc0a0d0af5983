"""Finding picture files below a folder."""

import os
from pathlib import Path

from .pictures import PictureError

# Read by Pillow 11 and newer; HEIC needs the optional package pillow-heif.
_COMMON = {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".tif", ".tiff", ".webp", ".bmp", ".gif"}
EXTENSIONS = frozenset(_COMMON | {".avif", ".jp2", ".ppm", ".pgm", ".tga", ".heic", ".heif"})


def list_pictures(
    root: Path, exclude: tuple[Path, ...] = (), extensions: frozenset[str] = EXTENSIONS
) -> list[Path]:
    """Finds the pictures below a folder, sorted, in all its subfolders; hidden ones are left out.

    Args:
        root: a folder, or a single picture file of any extension.
        exclude: files and folders not to look at.
        extensions: what counts as a picture, in lower case with the dot.

    Raises:
        PictureError: when `root` is missing or there is no picture.
    """
    if root.is_file():
        return [root]
    if not root.is_dir():
        raise PictureError(f"{root} does not exist; name a picture or a folder of pictures")
    excluded = {path.resolve() for path in exclude}

    def is_wanted(path: Path) -> bool:
        # Resolving half a million names takes a minute; mostly nothing is excluded.
        return not (path.name.startswith(".") or (excluded and path.resolve() in excluded))

    found: list[Path] = []
    for folder, subfolders, files in os.walk(root):
        here = Path(folder)
        subfolders[:] = [name for name in subfolders if is_wanted(here / name)]
        pictures = (here / name for name in files if Path(name).suffix.lower() in extensions)
        found += filter(is_wanted, pictures)
    if not found:
        raise PictureError(
            f"no picture was found in {root} or its subfolders; looked for "
            f"{' '.join(sorted(extensions))} in any case"
        )
    return sorted(found)
