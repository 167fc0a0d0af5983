"""The tab of photographs."""

from pathlib import Path
from typing import Any

import gradio as gr

from runtime.files import SHIPPED

from ..pictures.target import Target
from .backgrounds import choose_background, make_target
from .photograph import Photograph, compose_photograph, matte_photograph
from .uploads import picture_upload
from .visits import PRIVATE, QUEUED, Site, Visit

_EMPTY = (
    '<div class="waiting"><strong>The result appears here</strong>'
    "Drop in a frame and its plate, or choose an example.</div>"
)


def build_photograph(site: Site) -> None:
    """Builds the tab."""
    with gr.Row():
        with gr.Column(scale=5, min_width=300):
            with gr.Row():
                frame = picture_upload("Frame", "the photo with the subject", "frame", height=240)
                plate = picture_upload("Plate", "the same view, empty", "plate", height=240)
            button = gr.Button("Cut out the subject", variant="primary", elem_id="cut")
            pairs = list_examples()
            examples = gr.Dataset(
                components=[frame],  # which keeps the samples from being cleaned away
                samples=[[src] for src, _ in pairs],
                type="index",
                label="Examples",
                elem_id="examples",
            )
        with gr.Column(scale=6, min_width=300):
            empty = gr.HTML(_EMPTY, padding=False, elem_id="photograph-empty")
            with gr.Column(visible=False, elem_id="photograph-result") as result:
                slider = gr.ImageSlider(
                    label="Before and after",
                    type="filepath",
                    interactive=False,
                    slider_position=25,
                    buttons=["fullscreen"],
                    elem_id="slider",
                )
                background = choose_background("photograph")
                with gr.Row():
                    com = gr.DownloadButton("Cut-out (PNG)", elem_id="save-com")
                    pha = gr.DownloadButton("Alpha (PNG)", elem_id="save-pha")
                    over = gr.DownloadButton("Composite (PNG)", visible=False, elem_id="save-over")
                notes = gr.HTML(padding=False, elem_id="photograph-notes")
                alpha = gr.Image(
                    label="Alpha",
                    type="filepath",
                    interactive=False,
                    height=300,
                    buttons=["fullscreen"],
                    elem_id="alpha",
                )
    events = _Events(site)
    cut: dict[str, Any] = {
        "fn": events.cut,
        "inputs": [frame, plate, *background],
        "outputs": [empty, result, slider, over, com, pha, notes, alpha],
        "show_progress_on": [empty, slider],
        "scroll_to_output": True,
        **QUEUED,
    }
    button.click(**cut)
    # Not `gr.Examples`, which makes the fields anew, without `uploads`.
    chosen = examples.click(pairs.__getitem__, examples, [frame, plate], queue=False, **PRIVATE)
    chosen.then(**cut)
    kind, colour, picture = background
    for event in (kind.change, colour.change, picture.upload):
        event(events.compose, background, [slider, over], **PRIVATE)


def list_examples() -> list[list[str]]:
    """Frames and plates of the demo, which ship with the program."""
    frames = sorted((SHIPPED / "demo" / "src").glob("*.jpg"))
    return [[str(frame), str(SHIPPED / "demo" / "bgr" / frame.name)] for frame in frames]


class _Events:
    """What happens when a visitor clicks."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def cut(
        self,
        request: gr.Request,
        frame: str | None,
        plate: str | None,
        kind: str,
        colour: str,
        picture: str | None,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - how Gradio hands it over
    ) -> list[Any]:
        """Mattes the frame, and shows all that comes of it."""
        site = self._site
        with site.visits.told():
            if frame is None or plate is None:
                missing = "frame" if frame is None else "plate"
                raise ValueError(f"the {missing} is missing: drop it into its field")
            visit = site.visits.of(request)
            made = matte_photograph(
                (Path(frame), Path(plate)), site.matting, site.limits, visit.new_file, progress
            )
            site.visits.keep(visit, made)
            if kind == "Picture" and picture is None:
                kind = "Transparent"
            shown, over = self._compose(visit, made, make_target(kind, colour, picture))
            text = site.visits.list_notes(made.matte.notes, "The capture is good.")
        height, width = made.matte.alpha.shape
        facts = f'<p class="facts">{width} x {height} pixels, matted in {made.seconds:.1f} s</p>'
        return [
            gr.HTML(visible=False),
            gr.Column(visible=True),
            shown,
            over,
            str(made.com),
            str(made.pha),
            text + facts,
            str(made.shown_pha),
        ]

    def compose(
        self, request: gr.Request, kind: str, colour: str, picture: str | None
    ) -> list[Any]:
        """Puts the last matte over another background."""
        visit = self._site.visits.of(request)
        photograph = visit.photograph
        if photograph is None or (kind == "Picture" and picture is None):
            return [gr.skip(), gr.skip()]
        with self._site.visits.told():
            return self._compose(visit, photograph, make_target(kind, colour, picture))

    def _compose(self, visit: Visit, photograph: Photograph, target: Target) -> list[Any]:
        """What the slider shows, and the button that saves it."""
        shown, file = compose_photograph(photograph, target, self._site.limits, visit.new_file)
        visit.replace(shown, file)
        over = gr.DownloadButton(value=file and str(file), visible=file is not None)
        return [(str(photograph.shown_src), str(shown)), over]
