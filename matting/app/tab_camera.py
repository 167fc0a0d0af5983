"""The tab of the camera."""

from typing import Any

import gradio as gr

from .backgrounds import choose_background, make_target
from .camera import as_html, decode
from .uploads import camera_stream
from .visits import PRIVATE, Site

_EVERY = 0.08  # seconds between two pictures, at least; a busy network gets the newest one alone
_LONGEST = 900  # seconds, after which another visitor may have the place
_CAMERAS = 4  # at a time; further ones wait
_COUNTDOWNS = {"3 s": 3.0, "5 s": 5.0, "10 s": 10.0}
_EMPTY = (
    '<div class="waiting"><strong>The live composite appears here</strong>'
    "<ol><li>Allow the camera and press Record.</li>"
    "<li>Take the plate: step out of the view until it is taken.</li>"
    "<li>Step in again.</li></ol></div>"
)


def build_camera(site: Site) -> None:
    """Builds the tab."""
    with gr.Row():
        with gr.Column(scale=5, min_width=300):
            camera = camera_stream("Camera", "webcam", height=300)
            countdown = gr.Radio(
                list(_COUNTDOWNS), value="5 s", label="Countdown", elem_id="countdown"
            )
            button = gr.Button("Take the plate", variant="primary", elem_id="take")
            background = choose_background("camera", kind="Blur")
        with gr.Column(scale=6, min_width=300):
            live = gr.HTML(_EMPTY, padding=False, elem_id="live")
            notes = gr.HTML(padding=False, elem_id="camera-notes")
    events = _Events(site)
    camera.stream(
        events.show,
        [camera, *background],
        [live, notes],
        stream_every=_EVERY,
        time_limit=_LONGEST,
        show_progress="hidden",
        concurrency_limit=_CAMERAS,
        **PRIVATE,
    )
    button.click(events.take, countdown, queue=False, **PRIVATE)


class _Events:
    """What happens when a visitor clicks, and with every picture of a camera."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def take(self, request: gr.Request, countdown: str) -> None:
        """Begins the countdown of the plate."""
        self._site.visits.of(request).camera.take_plate(_COUNTDOWNS[countdown])

    def show(
        self, request: gr.Request, url: str | None, kind: str, colour: str, picture: str | None
    ) -> list[Any]:
        """Shows a picture of the camera: before the plate as it is, then matted."""
        if url is None:
            return [gr.skip(), gr.skip()]
        visits = self._site.visits
        camera = visits.of(request).camera
        if kind == "Picture" and picture is None:
            kind = "Transparent"
        try:
            target = make_target(kind, colour, picture)
            shown, text = camera.show(decode(url), self._site.matting.predictor, target)
        except (ValueError, OSError) as error:  # the stream goes on
            return [gr.skip(), visits.list_notes([str(error)], "")]
        said = visits.list_notes(camera.notes, "") if camera.notes else ""
        return [as_html(shown, visits.plain(text)), said]
