"""Synthetic foregrounds and backgrounds, drawn: nothing is downloaded or read."""

from .foregrounds import SyntheticForegrounds, draw_background, draw_foreground

__all__ = ["SyntheticForegrounds", "draw_background", "draw_foreground"]
