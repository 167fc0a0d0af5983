"""Videos at URLs: what is read is fetched before the work, and outputs are stored at the end."""

import io
import json
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field, replace
from pathlib import Path
from shutil import move
from typing import Any, Generic, TypeVar
from uuid import uuid4

from media.listing import EXTENSIONS, find_extension
from runtime.files import explain, temporary_folder
from runtime.wording import visible
from storage.errors import StorageError
from storage.files import check_name, check_space, exists, fetched, list_names, store
from storage.location import Location, Url, check_target, parse_location

from ..shards import SUMMARY, parse_shard
from ..summary import check_replaceable, read_entries

AnySettings = TypeVar("AnySettings", bound=Any)

_AT_ONCE = 8  # pictures of a sequence that are fetched or stored
_PREFIX = "matting-video-"


@dataclass
class LocalFiles(Generic[AnySettings]):
    """Settings with paths of this machine, and where the outputs belong."""

    settings: AnySettings
    output: Url | None = None
    names: dict[str, str] = field(default_factory=dict)
    """URLs by the local names that stand for them, in messages and summaries."""

    def rename(self, text: str) -> str:
        """Names URLs instead of temporary files."""
        for local, url in self.names.items():
            text = text.replace(local, url)
        return text

    def store(self, code: int) -> int:
        """Stores the outputs of all that is done, and the summary in any case.

        Args:
            code: exit code of the run.

        Returns:
            The exit code: 1 if something could not be stored. All outputs stay on the disk then.
        """
        if self.output is None:
            return code
        folder = Path(self.settings.output.dir)
        files = [path for path in folder.rglob("*") if path.is_file()]
        told = [path for path in files if path.match("summary*.json")]
        summaries = sorted(path for path in told if path.parent == folder)
        files = [path for path in files if path not in summaries]
        if code:
            done = set[Path]().union(*map(_list_done, summaries))
            files = [path for path in files if done.intersection((path, *path.parents))]
        for path in told:
            path.write_text(self._rename_json(path.read_text("utf-8")), "utf-8")
        try:
            self._store_all(folder, files)
            self._store_all(folder, summaries)
        except (ValueError, OSError) as error:
            kept = move(folder, tempfile.mkdtemp(prefix="matting-kept-"))
            print(visible(f"error: {explain(error)}"), file=sys.stderr)
            print(f"the outputs are kept in {Path(kept).parent}", file=sys.stderr)
            return 1
        if code == 0:
            print(f"{len(files)} files were stored")
        elif files:
            print(f"unfinished; {len(files)} files of what is done were stored", file=sys.stderr)
        else:
            print("unfinished; only the summary was stored", file=sys.stderr)
        return code

    def _rename_json(self, text: str) -> str:
        for local, url in self.names.items():
            text = text.replace(local, json.dumps(url, ensure_ascii=False)[1:-1])
        return text

    def _store_all(self, folder: Path, paths: list[Path]) -> None:
        def one(path: Path) -> None:
            assert self.output is not None  # noqa: S101 - for mypy
            store(path, self.output / path.relative_to(folder).as_posix())

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for _ in pool.map(one, paths):
                pass


@contextmanager
def local_files(settings: AnySettings) -> Iterator[LocalFiles[AnySettings]]:
    """Fetches what the settings of a video name by URL, to temporary files.

    Messages in the block name the URLs, not these files.

    Args:
        settings: with `video`, `output`, `resume`, `overwrite` and perhaps `shard`.

    Yields:
        The settings to use.

    Raises:
        ValueError: when outputs exist, or can't go to a URL with these settings.
        StorageError: when something can't be fetched, or needs more than the free disk.
    """
    files, video = LocalFiles(settings), settings.video
    with ExitStack() as stack:
        if isinstance(settings.output.dir, Url):
            files.output = settings.output.dir
            _check_output(settings, files.output)
        changes: dict[str, Any] = {}
        for name in ("src", "bgr", "target_bgr"):
            location = _find_url(getattr(video, name))
            if location is not None:
                path = _fetch(location, stack)
                changes[name] = path if name == "src" else str(path)
                files.names |= _name(path, location)
        files.settings = replace(settings, video=replace(video, **changes))
        if files.output is not None:
            folder = stack.enter_context(temporary_folder(_PREFIX)) / uuid4().hex
            files.names |= _name(folder, files.output)
            output = replace(settings.output, dir=folder)
            files.settings = replace(files.settings, output=output)
        if files.names:
            stack.enter_context(redirect_stdout(_Renaming(sys.stdout, files)))
            stack.enter_context(redirect_stderr(_Renaming(sys.stderr, files)))
        try:
            yield files
        except StorageError:  # names URLs already
            raise
        except ValueError as error:
            raise ValueError(files.rename(str(error))) from error


def _find_url(given: Any) -> Url | None:
    """The URL that a setting names, if it does; texts may be colours or words too."""
    location: Location | None = given if isinstance(given, Url) else None
    if isinstance(given, str) and "://" in given:
        location = parse_location(given)
    return location if isinstance(location, Url) else None


def _list_done(summary: Path) -> set[Path]:
    """Outputs of the inputs that are done, files or folders, and the summaries beside them."""
    done = (entry for entry in read_entries(summary) if entry.status == "done")
    made = {summary.parent / output for entry in done for output in entry.outputs.values()}
    return made | {path.with_name(SUMMARY) for path in made}


def _name(path: Path, url: Url) -> dict[str, str]:
    # Summaries shorten absolute paths.
    return {str(path): str(url), f"…/{path.name}": str(url)}


def _check_output(settings: Any, output: Url) -> None:
    """Refuses to replace outputs, and what needs outputs of an earlier run on this machine."""
    check_target(output)
    if settings.resume:
        raise ValueError(
            "--resume continues outputs in a folder of this machine; for outputs at a URL use "
            "--shard for smaller parts"
        )
    if getattr(settings, "shard", None) and not settings.overwrite:
        raise ValueError("--shard with outputs at a URL needs -y: other parts are stored there too")
    starts = [f"{kind}{end}" for kind in settings.output.types for end in "/."]
    found = (entry.name for start in starts for entry in list_names(output, start))
    if (there := next(found, None)) and not settings.overwrite:
        raise ValueError(
            f"outputs exist already: {output / there}. Use -y to replace them, or another "
            "--output-dir"
        )
    check_replaceable(output / parse_shard(getattr(settings, "shard", None)).summary)


def _fetch(url: Url, stack: ExitStack) -> Path:
    """Fetches a file, or the pictures of a folder."""
    if url.scheme in ("http", "https") or exists(url):
        return stack.enter_context(fetched(url))
    entries = [e for e in list_names(url) if "/" not in e.name and not e.name.startswith(".")]
    pictures = [entry for entry in entries if find_extension(entry.name) in EXTENSIONS]
    if not pictures:
        raise ValueError(
            f"{url} does not exist, or is a folder without numbered pictures; at a URL name one "
            "clip or a folder of pictures"
        )
    check_space(url, sum(entry.size for entry in pictures))
    folder = stack.enter_context(temporary_folder(_PREFIX)) / uuid4().hex
    folder.mkdir()

    def one(name: str) -> None:
        check_name(name)
        with fetched(url / name) as path:
            move(path, folder / name)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for _ in pool.map(one, [entry.name for entry in pictures]):
            pass
    return folder


class _Renaming(io.TextIOBase):
    """A stream of text in which temporary files have the names of URLs."""

    def __init__(self, stream: Any, files: LocalFiles[Any]) -> None:
        self._stream, self._files = stream, files

    def write(self, text: str) -> int:
        """Writes a text; returns its length."""
        self._stream.write(self._files.rename(text))
        return len(text)

    def flush(self) -> None:
        """Writes what waits."""
        self._stream.flush()

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return bool(self._stream.isatty())

    def fileno(self) -> int:
        """Number of its file, for the width of a terminal."""
        return int(self._stream.fileno())
