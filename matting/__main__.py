"""One program for all scripts: `matting images`, `matting video`, ..."""

import difflib
import sys
from importlib import import_module

from runtime.script import lasting_streams, run_script
from runtime.version import VERSION

PROGRAMS = {
    "images": ("inference_images", "matte photographs"),
    "video": ("inference_video", "matte a clip"),
    "cluster": (".cluster.run", "matte photographs on a cluster of Ray"),
    "webcam": ("inference_webcam", "matte a live camera"),
    "train-base": ("train_base", "train stage 1, the coarse network"),
    "train-refine": ("train_refine", "train stage 2, with the refiner"),
    "evaluate": ("evaluate", "measure mattes against true ones"),
    "speed": ("inference_speed_test", "measure frames per second"),
    "export": ("export", "write files that other programs run"),
    "merge-summaries": (".merging", "add up the summaries of shards"),
    "app": (".app.run", "open a page in the browser to try it"),
}
USAGE = "\n".join(
    [
        "usage: matting PROGRAM [FLAGS]",
        "",
        *(f"  {name:<15} {text}" for name, (_, text) in PROGRAMS.items()),
        "",
        "`matting PROGRAM --help` lists a program's flags, `matting --version` prints the version.",
    ]
)
# Scripts are beside this package in a checkout, and inside it when installed.
_BESIDE = run_script.__module__.removesuffix("runtime.script")


def main() -> int:
    """Runs the program that the command line names; returns its exit code."""
    name, *flags = sys.argv[1:] or [""]
    if name not in PROGRAMS:
        with lasting_streams():
            return _answer(name)
    place = PROGRAMS[name][0]
    script = import_module(place if place[0] == "." else _BESIDE + place, __package__)
    # Help and errors name the program as it was called.
    called = (script.__doc__ or "").replace(f"python {place}.py", f"matting {name}")
    script.__doc__ = called.replace(f"{place}.py", f"-m matting {name}")  # under torchrun
    sys.argv = [f"matting {name}", *flags]
    return script.main() if name.startswith("train-") else run_script(script.main)


def _answer(name: str) -> int:
    """Prints usage or version, or what is wrong with the name; returns the exit code."""
    if name == "--version":
        print(VERSION)
        return 0
    if name in ("", "-h", "--help"):
        print(USAGE)
        return 0 if name else 2
    near = difflib.get_close_matches(name[:40], PROGRAMS, n=1, cutoff=0.0)[0]
    print(f"error: unknown program {name[:40]!r}; perhaps you meant {near}", file=sys.stderr)
    print(USAGE, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
