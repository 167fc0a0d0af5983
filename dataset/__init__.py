"""Reads files and makes training samples on the CPU."""

# The command that runs `check`; in an installed wheel the package is `matting.dataset`.
CHECK = f"python -m {__package__}.check"
