"""Reads and writes pictures and clips, as arrays of upright RGB; handles their colours."""


class MediaError(ValueError):
    """A file that can't be read or used as a picture or a video; the message says why."""


class PictureError(MediaError):
    """A file that can't be read as a picture; the message says why."""
