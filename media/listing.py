"""Finds picture files below a folder, and files that look like pictures but can't be used."""

import errno
import os
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .formats import RAW, RAW_EXTENSIONS
from .pictures import PictureError

# Read by Pillow 11 and newer; HEIC and HIF (its name on cameras) need the package pillow-heif.
_EXTENSIONS = (
    ".jpg .jpeg .jpe .jfif .mpo .png .apng .tif .tiff .webp .bmp .dib .gif .avif .avifs "
    ".heic .heics .heif .heifs .hif .jp2 .j2k .j2c .jpc .jpf .jpx .ppm .pgm .pbm .pnm .pam .tga "
    ".icb .vda .vst .qoi"
)
EXTENSIONS = frozenset(_EXTENSIONS.split())
# Kinds of pictures that are not supported, by description.
_UNREAD = {
    "JPEG XL": ".jxl",
    "JPEG XR": ".jxr .wdp .hdp",
    "high-throughput or compound JPEG 2000": ".jph .jhc .jpm",
    "a project of an image editor": ".psd .psb .xcf .kra .ora .afphoto .clip .pdn",
    "a picture of more than 16 bits": ".exr .hdr .pfm .fit .fits .dpx .cin",
    "a drawing or a page": ".svg .svgz .ai .eps .ps .pdf .wmf .emf .cdr",
    "an older or rare kind of picture": (
        ".pcx .dcx .pcd .sgi .rgb .rgba .bw .ras .sun .xbm .xpm .ico .icns .dds .bpg .flif "
        ".pct .pict .iff .lbm .dcm"
    ),
}
UNREAD = {
    extension: f"{what}, which is not read: save it as PNG, TIFF or JPEG"
    for what, extensions in _UNREAD.items()
    for extension in extensions.split()
} | dict.fromkeys(RAW_EXTENSIONS, RAW)

# Largest number of paths to one folder. Links between ten folders can make millions.
_NAMES_OF_A_FOLDER = 8
_KINDS = {
    stat.S_ISFIFO: "a pipe",
    stat.S_ISSOCK: "a socket",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
}

_Key = tuple[int, int]  # device and number of a folder


@dataclass(frozen=True)
class Listing:
    """The pictures below a folder."""

    pictures: list[Path] = field(default_factory=list)  # sorted
    left_out: dict[Path, str] = field(default_factory=dict)  # the reason that it can't be used


@dataclass(frozen=True)
class Names:
    """The pictures below a folder by POSIX path relative to it: about 100 bytes of memory each."""

    root: Path  # the folder; of a single picture, the folder that it is in
    names: list[str] = field(default_factory=list)  # sorted
    left_out: dict[str, str] = field(default_factory=dict)  # the reason that it can't be used


def list_pictures(
    root: Path,
    exclude: tuple[Path, ...] = (),
    extensions: frozenset[str] = EXTENSIONS,
    subfolders: bool = True,
) -> Listing:
    """Finds the pictures below a folder; see `list_names`, which needs less memory."""
    found = list_names(root, exclude, extensions, subfolders)
    if found.root != root:
        return Listing([root])
    left_out = {root / name: reason for name, reason in found.left_out.items()}
    return Listing(sorted(root / name for name in found.names), left_out)


def list_names(
    root: Path,
    exclude: tuple[Path, ...] = (),
    extensions: frozenset[str] = EXTENSIONS,
    subfolders: bool = True,
) -> Names:
    """Finds the pictures below a folder, also in linked folders; ignores hidden ones.

    Args:
        root: a folder, or a single picture file of any extension.
        exclude: files and folders to ignore.
        extensions: those of pictures, in lower case with the dot.
        subfolders: whether to search subfolders.

    Returns:
        The pictures, and entries that look like pictures but can't be used: unsupported kinds,
        entries that are not regular files, broken or circular links, unreadable folders.

    Raises:
        PictureError: when `root` is missing or not a regular file, or there is no picture.
    """
    try:
        mode = root.stat().st_mode
    except OSError as error:
        why = "does not exist" if isinstance(error, FileNotFoundError) else _explain(error)
        raise PictureError(f"{root} {why}; name a picture or a folder of pictures") from error
    if stat.S_ISREG(mode):
        return Names(root.parent, [root.name])
    if not stat.S_ISDIR(mode):
        raise PictureError(f"{root} is {_name_kind(mode)}; name a picture or a folder of pictures")
    found = Names(root)
    excluded = {os.path.realpath(path) for path in exclude}
    walk = _Walk(root, excluded, subfolders, found.left_out)
    for entry in walk:
        extension = find_extension(entry.name)
        if extension in extensions:
            if (reason := _refuse(entry)) is not None:
                found.left_out[walk.name(entry.path)] = reason
            else:
                found.names.append(walk.name(entry.path))
        elif extension in UNREAD:
            found.left_out[walk.name(entry.path)] = UNREAD[extension]
    if not found.names:
        raise PictureError(_describe_nothing(root, extensions, found.left_out, subfolders))
    found.names.sort()
    return found


class _Walk:
    """Walks through a folder and its subfolders, and adds unreadable ones to `left_out`.

    Iterating yields the entries that are not excluded or folders.
    """

    def __init__(
        self, root: Path, excluded: set[str], subfolders: bool, left_out: dict[str, str]
    ) -> None:
        self._root, self._subfolders = str(root), subfolders
        self._start = len(os.path.join(root, ""))  # noqa: PTH118 - a text, not a path
        self._excluded, self._left_out = excluded, left_out
        self._names: Counter[_Key] = Counter()

    def name(self, path: str) -> str:
        """Name of a path below the root, `.` for the root itself."""
        return path[self._start :].replace(os.sep, "/") or "."

    def __iter__(self) -> Iterator[os.DirEntry[str]]:
        # Path, real path, and the folders above it.
        waiting: list[tuple[str, str, tuple[_Key, ...]]] = [
            (self._root, os.path.realpath(self._root), ())
        ]
        while waiting:
            path, real, above = waiting.pop()
            try:
                found = Path(path).stat()
                key = (found.st_dev, found.st_ino)
                if (reason := self._refuse(key, above)) is not None:
                    self._left_out[self.name(path)] = reason
                    continue
                with os.scandir(path) as entries:
                    for entry in entries:
                        inside = f"{real.rstrip(os.sep)}{os.sep}{entry.name}"
                        if self._ignores(entry, inside):
                            continue
                        if not self._is_folder(entry):
                            yield entry
                        elif self._subfolders:
                            if self._excluded and entry.is_symlink():
                                inside = os.path.realpath(inside)
                            waiting.append((entry.path, inside, (*above, key)))
            except OSError as error:
                self._left_out[self.name(path)] = f"a folder that {_explain(error)}"

    def _ignores(self, entry: os.DirEntry[str], inside: str) -> bool:
        """Whether an entry with the path `inside`, real above it, is hidden or excluded."""
        if entry.name.startswith("."):
            return True
        if not self._excluded:
            return False
        return (os.path.realpath(inside) if entry.is_symlink() else inside) in self._excluded

    def _refuse(self, key: _Key, above: tuple[_Key, ...]) -> str | None:
        if key in above:
            return "a circular link, to a folder above it"
        self._names[key] += 1
        if self._names[key] > _NAMES_OF_A_FOLDER:
            return f"links lead to this folder by more than {_NAMES_OF_A_FOLDER} paths"
        return None

    def _is_folder(self, entry: os.DirEntry[str]) -> bool:
        try:
            if entry.is_dir():
                return True
            if entry.is_symlink() and self._subfolders:
                entry.stat()  # a broken link may have led to a folder of pictures
        except OSError as error:
            self._left_out[self.name(entry.path)] = _explain_link(error)
        return False


def find_extension(name: str) -> str:
    """Same as `Path(name).suffix` in lower case, without the cost of a `Path`."""
    start = name.rfind(".")
    return name[start:].lower() if start > 0 else ""


def _refuse(entry: os.DirEntry[str]) -> str | None:
    """Returns why an entry with a picture's name can't be one; None for a regular file."""
    if entry.is_file(follow_symlinks=False):
        return None
    try:
        mode = entry.stat().st_mode
    except OSError as error:
        return _explain_link(error)
    return None if stat.S_ISREG(mode) else f"{_name_kind(mode)}, not a file"


def _name_kind(mode: int) -> str:
    return next((name for test, name in _KINDS.items() if test(mode)), "not a regular file")


def _explain_link(error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return "a circular link"
    if isinstance(error, FileNotFoundError):
        return "a broken link"
    return f"a link that {_explain(error)}"


def _explain(error: OSError) -> str:
    return f"can't be read: {error.strerror or error}"


def _describe_nothing(
    root: Path, extensions: frozenset[str], left_out: dict[str, str], subfolders: bool
) -> str:
    where = f"{root} or its subfolders" if subfolders else f"{root}"
    text = f"no picture was found in {where}; looked for {' '.join(sorted(extensions))} in any case"
    if left_out:
        name, reason = next(iter(sorted(left_out.items())))
        more = f" and {len(left_out) - 1} more" if len(left_out) > 1 else ""
        text += f". Left out: {root / name}: {reason}{more}"
    return text
