"""Reads files and makes training samples on the CPU."""

from media import MediaError

# The command that runs `check`; in an installed wheel the package is `matting.dataset`.
CHECK = f"python -m {__package__}.check"


class DatasetError(MediaError):
    """Data that can't be trained on; the message names the file or folder and the cause."""
