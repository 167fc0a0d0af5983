"""Exported networks: their cards, and running them in place of weights."""
