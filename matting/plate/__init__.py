"""One preparation of captured plates: check, alignment, exposure."""
