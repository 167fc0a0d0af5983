"""Reading back what was written."""

from pathlib import Path

import av

from media.clips import FFMPEG_ERRORS, explain
from media.frames import VideoError
from media.pictures import PictureError, read_picture


def verify_video(path: Path, frames: int) -> None:
    """Checks that a video opens, has its frames, and that its first and last are decoded.

    Args:
        path: the file.
        frames: that it should have.

    Raises:
        VideoError: when something is wrong.
    """
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            packets = [p.pts for p in container.demux(stream) if p.size and not p.is_corrupt]
            decoded = _decodes_ends(container, max(p for p in packets if p is not None))
    except (*FFMPEG_ERRORS, IndexError, ValueError) as error:
        raise VideoError(f"{path} can't be read back: {explain(error)}") from error
    if len(packets) != frames or not decoded:
        missing = f"{len(packets)} frames of {frames}" if decoded else "no last frame"
        raise VideoError(f"{path} was not written whole: it has {missing}")


def _decodes_ends(container: av.container.InputContainer, last: int) -> bool:
    stream = container.streams.video[0]
    container.seek(0)
    first = next(container.decode(stream), None)
    container.seek(last, stream=stream)
    *_, end = [None, *(frame.pts for frame in container.decode(stream))]
    return first is not None and end == last


def verify_pictures(paths: list[Path]) -> None:
    """Checks that pictures are there, and decodes the first and the last.

    Args:
        paths: where they should be.

    Raises:
        VideoError: when one is missing, empty or can't be read.
    """
    for path in paths:
        if not path.is_file() or path.stat().st_size == 0:
            raise VideoError(f"{path} was not written")
    for path in {*paths[:1], *paths[-1:]}:
        try:
            read_picture(path)
        except PictureError as error:
            raise VideoError(f"{path} can't be read back: {error}") from error
