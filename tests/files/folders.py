"""Folders of frames: links, names, kinds of files. A new case is one row."""

import os
import socket
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from .scene import frame, plate

RAW = "a raw file: develop it first"
DEEP = "what lies too deep"  # whose name depends on where the test runs


@dataclass(frozen=True)
class Folder:
    """One folder of frames.

    Attributes:
        name: of the row.
        make: fills a folder, in which `src` and `plate.png` are there already.
        done: frames that must be done, by their paths below `src`.
        failed: those that must be told as failed, with what the reason holds.
        says: what the program says besides, as a regular expression.
        code: the exit code.
        args: arguments behind the usual ones; `{}` is the folder.
        before: code that runs before the script.
        notes: how many notes the summary holds, where that is fixed.
    """

    name: str
    make: Callable[[Path], object]
    done: tuple[str, ...] = ("a.jpg",)
    failed: dict[str, str] = field(default_factory=dict)
    says: str = ""
    code: int = 0
    args: tuple[str, ...] = ()
    before: str = ""
    notes: int | None = None


def save(path: Path, pixels=frame, **options) -> Path:
    """Writes a picture, and the folders that it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels()).save(path, **options)
    return path


def frames(*names: str):
    """Frames below `src`."""
    return lambda root: [save(root / "src" / name) for name in names]


def beside(*makers):
    """The frame a.jpg, and what else there is."""
    return lambda root: [make(root) for make in (frames("a.jpg"), *makers)]


def link(name: str, target: str):
    """A link below `src`."""
    return lambda root: (root / "src" / name).symlink_to(target)


def stub(*names: str, content: bytes = b"II*\0" + bytes(64)):
    """Files of a few bytes below `src`."""
    return lambda root: [(root / "src" / name).write_bytes(content) for name in names]


def pairs(*names: str):
    """Frames, and plates of the same names."""
    return lambda root: [
        save(root / folder / name, pixels)
        for folder, pixels in (("src", frame), ("plates", plate))
        for name in names
    ]


def make_deep(root: Path) -> None:
    """Folders in each other, so deep that the path of the innermost is too long for the system."""
    save(root / "src/a.jpg")
    here, long = Path.cwd(), "d" * 250
    os.chdir(root / "src")
    for _ in range(17):
        Path(long).mkdir()
        os.chdir(long)
    Image.fromarray(frame()).save("far.jpg")
    os.chdir(here)


def make_socket(root: Path) -> None:
    """A socket named like a picture; its path may be no longer than 100 letters."""
    here = Path.cwd()
    os.chdir(root / "src")
    socket.socket(socket.AF_UNIX).bind("s.jpg")
    os.chdir(here)


def make_earlier(root: Path) -> None:
    """Outputs of an earlier run below the source."""
    save(root / "src/a.jpg")
    for kind in ("com", "pha"):
        save(root / "src/old" / kind / "a.png")
    (root / "src/old/summary.json").write_text('{"counts": {}, "images": []}')


COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "é.jpg") for form in ("NFC", "NFD"))
PLATES = ("--images-bgr", "{}/plates")
# What a system call answers about one folder and one file: whoever runs this may be root, who may
# read everything.
LOCKED = """
import os
scan = os.scandir
def refuse(path):
    if os.path.basename(path) == "locked":
        raise PermissionError(13, "Permission denied")
    return scan(path)
os.scandir = refuse
"""

ROWS = [
    Folder("upper case", frames("a.JPG", "b.Png"), ("a.JPG", "b.Png"), notes=0),
    Folder("hidden", beside(stub(".b.jpg", "._a.jpg")), notes=0),
    Folder("other files", beside(stub("notes.txt", "a.xmp", "clip.mov", "noext")), notes=0),
    Folder(
        "rarer extensions",
        frames("a.dib", "b.pnm", "c.mpo", "d.j2k", "e.jpf", "f.tga", "g.apng", "h.pbm"),
        ("a.dib", "b.pnm", "c.mpo", "d.j2k", "e.jpf", "f.tga", "g.apng", "h.pbm"),
        notes=0,
    ),
    Folder(
        "raw beside jpeg",
        beside(stub("a.CR2", "b.nef", "c.Dng")),
        failed={"a.CR2": RAW, "b.nef": RAW, "c.Dng": RAW},
        says="left out of the source folder: .*a.CR2",
        code=1,
        notes=1,
    ),
    Folder(
        "not read",
        beside(stub("b.jxl", "c.psd", "d.exr", "e.svg", "f.pdf", "g.pcx")),
        failed={
            "b.jxl": "JPEG XL, which is not read: save it as PNG",
            "c.psd": "project of an image editor",
            "d.exr": "more than 16 bits",
            "e.svg": "drawing",
            "f.pdf": "page",
            "g.pcx": "rare",
        },
        code=1,
    ),
    Folder("nothing but raw", stub("a.dng"), (), says=f"no picture.*a.dng: {RAW}", code=2),
    Folder(
        "linked folder",
        lambda root: [save(root / "disk/b.jpg"), beside(link("more", "../disk"))(root)],
        ("a.jpg", "more/b.jpg"),
        notes=0,
    ),
    Folder(
        "linked file",
        lambda root: [save(root / "disk/b.jpg"), beside(link("b.jpg", "../disk/b.jpg"))(root)],
        ("a.jpg", "b.jpg"),
        notes=0,
    ),
    Folder(
        "loop to the folder itself",
        beside(link("again", ".")),
        failed={"again": "a circular link, to a folder above it"},
        code=1,
    ),
    Folder(
        "loop over two folders",
        lambda root: [
            frames("x/a.jpg", "y/b.jpg")(root),
            link("x/to", "../y")(root),
            link("y/to", "../x")(root),
        ],
        ("x/a.jpg", "x/to/b.jpg", "y/b.jpg", "y/to/a.jpg"),
        {"x/to/to": "circular", "y/to/to": "circular"},
        code=1,
    ),
    Folder(
        "link to itself",
        beside(link("b.jpg", "b.jpg"), link("folder", "folder")),
        failed={"b.jpg": "a circular link", "folder": "circular"},
        code=1,
    ),
    Folder(
        "broken links",
        beside(link("b.jpg", "nothing.jpg"), link("disk", "/nowhere/disk")),
        failed={"b.jpg": "a broken link", "disk": "broken link"},
        code=1,
    ),
    Folder(
        "pipe",
        beside(lambda root: os.mkfifo(root / "src/b.jpg")),
        failed={"b.jpg": "a pipe, not a file"},
        code=1,
    ),
    Folder(
        "device behind a link",
        beside(link("b.jpg", "/dev/zero")),
        failed={"b.jpg": "a device, not a file"},
        code=1,
    ),
    Folder("socket", beside(make_socket), failed={"s.jpg": "a socket, not a file"}, code=1),
    Folder(
        "pipe as source",
        lambda root: os.mkfifo(root / "p.jpg"),
        (),
        says="p.jpg is a pipe; name a picture or a folder",
        code=2,
        args=("--images-src", "{}/p.jpg"),
    ),
    Folder(
        "pipe as plate",
        beside(lambda root: os.mkfifo(root / "p.jpg")),
        (),
        says="p.jpg is a pipe; name a picture or a folder",
        code=2,
        args=("--images-bgr", "{}/p.jpg"),
    ),
    *(
        Folder(
            f"link to itself as {what}",
            beside(link("../loop", "loop")),
            (),
            says=says,
            code=2,
            args=(f"--{what}", "{}/loop"),
        )
        for what, says in (
            ("images-src", "loop can't be read: Too many levels of symbolic links"),
            ("images-bgr", "loop can't be read: Too many levels of symbolic links"),
            ("output-dir", "output folder .*loop can't be written"),
        )
    ),
    Folder(
        "file as output folder",
        beside(lambda root: (root / "file").write_text("")),
        (),
        says="file can't be written: it exists and is not a folder",
        code=2,
        args=("--output-dir", "{}/file"),
    ),
    Folder(
        "unreadable folder",
        frames("a.jpg", "locked/b.jpg"),
        failed={"locked": "a folder that can't be read: Permission denied"},
        code=1,
        before=LOCKED,
    ),
    Folder(
        "path too long",
        make_deep,
        failed={DEEP: "can't be read: File name too long"},
        code=1,
    ),
    Folder("folder named like a picture", frames("a.jpg", "b.jpg/c.jpg"), ("a.jpg", "b.jpg/c.jpg")),
    Folder(
        "name too long for its output",
        frames("b" * 251 + ".jpg", "b" * 251 + ".png", "a.jpg"),
        failed={"b" * 251 + ".jpg": "too long", "b" * 251 + ".png": "too long"},
        code=1,
    ),
    Folder(
        "line break and escapes",
        frames("a\nfailed: b.jpg", "c\x1b[31m.jpg"),
        (
            "a\nfailed: b.jpg",
            "c\x1b[31m.jpg",
        ),
    ),
    Folder(
        "escapes in a reason",
        beside(stub("b\x1b]0;mine\x07\n.jpg", content=b"x")),
        failed={"b\x1b]0;mine\x07\n.jpg": "not a picture"},
        says=r"failed: b\\x1b\]0;mine\\x07\\n\.jpg: frame",
        code=1,
    ),
    Folder(
        "no text",
        lambda root: save(root / "src/a.jpg").rename(root / "src/\udcff.jpg"),
        ("\udcff.jpg",),
    ),
    Folder(
        "odd names",
        frames("-y.jpg", "=1+1.jpg", " .jpg", "a b.jpg"),
        (
            "-y.jpg",
            "=1+1.jpg",
            " .jpg",
            "a b.jpg",
        ),
    ),
    Folder(
        "both unicode spellings", pairs(COMPOSED, DECOMPOSED), (COMPOSED, DECOMPOSED), args=PLATES
    ),
    Folder(
        "other unicode spelling",
        lambda root: [save(root / "src" / COMPOSED), save(root / "plates" / DECOMPOSED, plate)],
        (COMPOSED,),
        args=PLATES,
    ),
    Folder("same stems", pairs("a.jpg", "a.png"), ("a.jpg", "a.png"), args=PLATES),
    Folder(
        "same stems, no telling",
        lambda root: [frames("a.bmp")(root), pairs("a.jpg", "a.png")(root)],
        ("a.jpg", "a.png"),
        {"a.bmp": "no plate: several pictures named a in .*: a.jpg, a.png"},
        code=1,
        args=PLATES,
    ),
    Folder("earlier outputs", make_earlier, says="old/com is inside the source folder", notes=2),
    Folder(
        "turned plate",
        lambda root: [
            save(root / "src/a.jpg"),
            save(root / "turned.png", lambda: plate().swapaxes(0, 1)),
        ],
        (),
        {"a.jpg": "different orientations: the plate is 96 x 144 pixels, the frame 144 x 96"},
        code=1,
        args=("--images-bgr", "{}/turned.png"),
    ),
]
