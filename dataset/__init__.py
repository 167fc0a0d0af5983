"""From files to CPU samples."""
