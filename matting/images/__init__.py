"""Photographs: pairing of files, and the processing of one frame."""
