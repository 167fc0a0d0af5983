"""Ranges of the frames of a picture sequence, for several workers."""

import os
from pathlib import Path
from typing import Any

from media.frames import VideoSource
from media.sequences import PictureReader
from runtime.wording import listed

from ..shards import Shard, describe_part
from .outputs import Paths

_SUFFIXES = (".png", ".jpg")


def check_part(src: Path, output_format: str, remembers: bool) -> None:
    """Raises ValueError unless ranges of a source's frames can be matted apart.

    Args:
        src: the source.
        output_format: `video` or `image_sequences`.
        remembers: whether alpha depends on that of the frames before.
    """
    if not src.is_dir():
        raise ValueError(
            f"--shard takes a folder of numbered pictures or of clips; {src} is neither. Put clips "
            "into a folder, or cut a long one into pictures"
        )
    if output_format != "image_sequences":
        raise ValueError(
            "--shard of numbered pictures writes pictures, not a video; add "
            "--output-format image_sequences"
        )
    if remembers:
        raise ValueError(
            "--temporal-smoothing and --keep-attached need the alpha of all frames before, which "
            "--shard leaves to others; leave them out, or matte the sequence without --shard"
        )


def choose_frames(
    source: VideoSource, shard: Shard, paths: Paths, may_exist: bool, skips: bool
) -> range | None:
    """Limits a source to the frames of a shard, and returns their numbers; None for all.

    Args:
        source: see `check_part`.
        shard: the part.
        paths: the folders of the outputs.
        may_exist: whether pictures of these frames may exist already.
        skips: whether frames do not depend on those before, which are then not read.

    Raises:
        ValueError: when a picture exists and must not.
    """
    if shard.count == 1 or not isinstance(source, PictureReader):
        return None
    names = source.names
    span = shard.span(len(names))
    files = (f / f"{names[i]}{end}" for f in paths.values() for i in span for end in _SUFFIXES)
    if not may_exist and (there := [file for file in files if os.path.lexists(file)]):
        raise ValueError(
            f"{len(there)} of the outputs already exist: {listed(there)}. Use --resume to make "
            "only what is missing, or -y to replace them"
        )
    source.limit(span.start if skips else 0, span.stop if span else 0)
    return span


def describe_frames(source: VideoSource, shard: Shard) -> dict[str, Any]:
    """Facts for the summary of a part of the frames; see `describe_part`."""
    return describe_part(shard, source.names) if isinstance(source, PictureReader) else {}


def name_part(src: Path, span: range | None) -> str:
    """Names a source or the range of its frames, for the summary."""
    if span is None:
        return str(src)
    return f"{src}: frames {span.start} to {span.stop - 1}" if span else f"{src}: no frames"
