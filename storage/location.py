"""Names of files and folders: local paths, and URLs of stores."""

import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Annotated, Any
from urllib.parse import SplitResult, quote, unquote, urlsplit

from pydantic import PlainValidator
from tyro.constructors import PrimitiveConstructorSpec

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_ONE_SLASH = re.compile(r"(s3|gs|https?|file):/(?!/)", re.IGNORECASE)
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_LONGEST_SUFFIX = 16  # characters, with the dot


class Url:
    """A file or folder in a store. It can't be changed.

    Keys of S3 and Google Cloud Storage are as the store has them: `%20`, `?` and `#` are part of
    the name. Those of web servers are escaped, as in a browser. The part of a web address after
    `?`, which may hold a signature, is sent to the server and never shown.

    Args:
        scheme: s3, gs, https or http.
        place: bucket, or host and port.
        key: name inside it, without a slash at the beginning or the end; empty for all of it.
        query: of a web address, after `?`.
    """

    __slots__ = ("key", "place", "query", "scheme")
    scheme: str
    place: str
    key: str
    query: str

    def __init__(self, scheme: str, place: str, key: str = "", query: str = "") -> None:
        for name, value in zip(self.__slots__, (key, place, query, scheme), strict=True):
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{name} of a URL can't be changed")

    def __reduce__(self) -> tuple[Any, ...]:
        return Url, (self.scheme, self.place, self.key, self.query)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Url) and self.__reduce__() == other.__reduce__()

    def __hash__(self) -> int:
        return hash(self.__reduce__())

    def __str__(self) -> str:
        return f"{self.scheme}://{self.place}/{self.key}".removesuffix("/")

    def __repr__(self) -> str:
        return f"Url({str(self)!r})"

    def __truediv__(self, name: str) -> "Url":
        """A name below this folder; it may have slashes."""
        inner = quote(name) if self._escaped else name
        key = f"{self.key}/{inner}" if self.key else inner
        return Url(self.scheme, self.place, key, self.query)

    @property
    def name(self) -> str:
        """The last part, with its extension; the bucket or host if there is no other."""
        last = self.key.rpartition("/")[2]
        return (unquote(last) if self._escaped else last) or self.place

    @property
    def stem(self) -> str:
        """The name without its extension."""
        return PurePosixPath(self.name).stem

    @property
    def suffix(self) -> str:
        """The extension with its dot, or nothing."""
        return PurePosixPath(self.name).suffix

    @property
    def local_suffix(self) -> str:
        """The suffix for a local copy, by which decoders go; empty if it is like none of theirs."""
        suffix = self.suffix
        plain = suffix.isascii() and suffix[1:].isalnum()
        return suffix if plain and len(suffix) <= _LONGEST_SUFFIX else ""

    @property
    def parent(self) -> "Url":
        """The folder that it is in."""
        return Url(self.scheme, self.place, self.key.rpartition("/")[0], self.query)

    @property
    def address(self) -> str:
        """The whole web address, with what must not be shown."""
        return f"{self.scheme}://{self.place}/{self.key}" + (f"?{self.query}" if self.query else "")

    @property
    def _escaped(self) -> bool:
        return self.scheme in ("http", "https")


Location = Path | Url


def parse_location(text: str | Path | Url) -> Location:
    """Reads the name of a file or folder.

    Args:
        text: a path; or `s3://bucket/name`, `gs://bucket/name`, `https://host/name` (to read
            only), `file:///name`; http:// is for servers on this machine.

    Returns:
        A path for a path or file://, else a URL.

    Raises:
        ValueError: for another kind of URL, one without a bucket or host, or one with a password.
            The message does not show it.
    """
    found = _SCHEME.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        if isinstance(text, str) and (short := _ONE_SLASH.match(text)):
            raise ValueError(
                f"an address begins with {short[0]}/, not {short[0]}; for a folder of that name "
                "write ./ before it"
            )
        return text if isinstance(text, Url) else Path(text)
    scheme, rest = found[1].lower(), found[2]
    if scheme in ("s3", "gs"):
        place, _, key = rest.partition("/")
        url = Url(scheme, place, key.rstrip("/"))
    elif scheme in ("http", "https", "file"):
        parts = _split(scheme, rest)
        if scheme == "file":
            return _read_file_url(parts.netloc, parts.path)
        if scheme == "http" and parts.hostname not in _LOOPBACK:
            raise ValueError(
                "http:// is not encrypted and is read from this machine only; use https://"
            )
        # Escapes that are there stay.
        key = quote(parts.path.strip("/"), safe="/%:@!$&'()*+,;=~")
        url = Url(scheme, parts.netloc, key, parts.query)
    else:
        raise ValueError(f"{scheme}:// is not known; use s3://, gs://, https://, file:// or a path")
    if "@" in url.place:
        raise ValueError(
            f"a {scheme}:// address must not hold a name or password; they come from the "
            "environment or the store's configuration file"
        )
    if not url.place:
        raise ValueError(f"{url} names no {'bucket' if scheme in ('s3', 'gs') else 'host'}")
    return url


def check_target(location: Location) -> None:
    """Raises ValueError for a location that can only be read."""
    if isinstance(location, Url) and location.scheme in ("http", "https"):
        raise ValueError(f"{location}: https:// is to read only; write to s3://, gs:// or a folder")


def name_below(location: Location, folder: Location) -> str:
    """Returns a location's name relative to a folder; ValueError if it is not in there."""
    if isinstance(location, Path) and isinstance(folder, Path):
        return location.relative_to(folder).as_posix()
    if not str(location).startswith(f"{folder}/"):
        raise ValueError(f"{location} is not in {folder}")
    return str(location).removeprefix(f"{folder}/")


def _split(scheme: str, rest: str) -> SplitResult:
    try:
        parts = urlsplit(f"{scheme}://{rest}")
        _ = parts.port
    except ValueError:  # its message has what may be a password
        raise ValueError(f"the host or port of a {scheme}:// address is not valid") from None
    return parts


def _read_file_url(host: str, path: str) -> Path:
    if host not in ("", "localhost"):
        raise ValueError(
            "file:// with a host is another machine's file; use file:/// and a whole path"
        )
    return Path(unquote(path))


def _describe_setting(
    read: Callable[[Any], Any], kinds: Any, shown: str = "PATH|URL"
) -> PrimitiveConstructorSpec[Any]:
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=shown,
        instance_from_str=lambda given: read(given[0]),
        is_instance=lambda value: isinstance(value, kinds),
        str_from_instance=lambda value: [str(value)],
    )


def _read_optional(text: Any) -> Location | None:
    return None if text in (None, "None") else parse_location(text)


def _read_text(text: Any) -> str | Url | None:
    if text in (None, "None"):
        return None
    if not isinstance(text, str | Url):
        raise ValueError("must be a text")
    location = parse_location(text) if ":/" in str(text) else text
    return location if isinstance(location, Url) else str(location)


_TEXT = PlainValidator(_read_text), _describe_setting(_read_text, str | Url | None, "TEXT|URL")
# For settings that take a path or a URL, and for those that may be left out.
AnyLocation = Annotated[
    Path | Url, PlainValidator(parse_location), _describe_setting(parse_location, Path | Url)
]
OptionalLocation = Annotated[
    Path | Url | None,
    PlainValidator(_read_optional),
    _describe_setting(_read_optional, Path | Url | None),
]
# For a setting that `matting.video.remote` turns into a path before its first use.
FetchedPath = Annotated[
    Path, PlainValidator(parse_location), _describe_setting(parse_location, Path | Url)
]
# For words, colours, paths and URLs, whose queries are not shown either.
OptionalText = Annotated[str | Url | None, *_TEXT]
# The same, where `matting.video.remote` turns URLs into paths before the first use.
FetchedText = Annotated[str | None, *_TEXT]
