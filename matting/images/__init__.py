"""Photographs: what belongs together, and one frame's way from files to files."""
