"""Preparation of captured plates: check, alignment, exposure."""
