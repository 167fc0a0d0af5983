"""The new background, as a visitor chooses it."""

import re
from pathlib import Path
from typing import Any, Literal

import gradio as gr

from ..pictures.target import KEYING_GREEN, Target
from .uploads import picture_upload

Kind = Literal["Transparent", "Colour", "Picture", "Blur"]
KINDS: tuple[Kind, ...] = ("Transparent", "Colour", "Picture", "Blur")
GREEN = "#{:02x}{:02x}{:02x}".format(*KEYING_GREEN)


def choose_background(
    name: str, kinds: tuple[Kind, ...] = KINDS, kind: Kind = "Transparent"
) -> list[Any]:
    """Builds the choice of a new background; returns kind, colour and picture."""
    chosen = gr.Radio(list(kinds), value=kind, label="New background", elem_id=f"{name}-kind")
    # Whole columns are hidden: Gradio makes a field anew that it updates, without `uploads`.
    with gr.Column(visible=kind == "Colour", min_width=0) as first:
        colour = gr.ColorPicker(GREEN, label="Colour", elem_id=f"{name}-colour")
    with gr.Column(visible=False, min_width=0) as second:
        picture = picture_upload(
            "Background picture", "the new background", f"{name}-picture", height=160
        )

    def show(now: str) -> list[Any]:
        return [gr.Column(visible=now == "Colour"), gr.Column(visible=now == "Picture")]

    chosen.change(show, chosen, [first, second], queue=False, api_visibility="private")
    return [chosen, colour, picture]


def parse_colour(text: str) -> tuple[int, int, int]:
    """Reads what a colour picker says, `#00b140` or `rgb(0, 177.4, 64)`; ValueError if not."""
    if found := re.fullmatch(r"#([0-9a-fA-F]{6})(?:[0-9a-fA-F]{2})?", text):
        red, green, blue = bytes.fromhex(found[1])
        return red, green, blue
    numbers = re.findall(r"\d{1,4}(?:\.\d+)?", text) if text.startswith("rgb") else []
    if len(numbers) < 3 or max(map(float, numbers[:3])) > 255:
        raise ValueError(f"the colour must be one such as #00b140, got {text[:40]!r}")
    red, green, blue = (round(float(number)) for number in numbers[:3])
    return red, green, blue


def make_target(kind: str, colour: str | None, picture: str | None) -> Target:
    """The target that was chosen; `picture` is an uploaded file. ValueError if it is missing."""
    if kind == "Colour":
        return Target("colour", colour=parse_colour(str(colour)))
    if kind == "Blur":
        return Target("blur")
    if kind != "Picture":
        return Target("none")
    if picture is None:
        raise ValueError("choose a picture for the new background first")
    return Target("picture", path=Path(picture))
