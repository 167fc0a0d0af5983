"""From files to CPU samples."""

# How to run `check`: below `matting` where the program is installed.
CHECK = f"python -m {__package__}.check"
