"""The tab of videos."""

from pathlib import Path
from typing import Any

import gradio as gr

from .backgrounds import choose_background, make_target
from .clip import CODECS, ClipJob, matte_clip
from .uploads import clip_upload, picture_upload
from .visits import PRIVATE, QUEUED, Site

_EMPTY = (
    '<div class="waiting"><strong>The result appears here</strong>'
    "Drop in a clip, and say where its plate comes from.</div>"
)
_PICTURE, _NUMBER, _MEDIAN = "Picture", "Frame of the clip", "Median of the clip"


def build_video(site: Site) -> None:
    """Builds the tab."""
    with gr.Row():
        with gr.Column(scale=5, min_width=300):
            clip = clip_upload("Clip", "clip", height=240)
            plate = gr.Radio(
                [_PICTURE, _NUMBER, _MEDIAN],
                value=_PICTURE,
                label="Plate",
                info="The median is for a camera that stands still while the subject moves.",
                elem_id="plate-from",
            )
            with gr.Column(min_width=0) as of_picture:
                picture = picture_upload(
                    "Plate picture", "the same view, empty", "clip-plate", height=160
                )
            with gr.Column(visible=False, min_width=0) as of_number:
                number = gr.Number(
                    0,
                    label="Frame number, from 0, in which the subject is away",
                    precision=0,
                    minimum=0,
                    elem_id="plate-number",
                )
            background = choose_background("video")
            with gr.Column(min_width=0) as of_codec:
                codec = gr.Radio(
                    list(CODECS), value=next(iter(CODECS)), label="File with alpha", elem_id="codec"
                )
            button = gr.Button("Matte the clip", variant="primary", elem_id="matte")
        with gr.Column(scale=6, min_width=300):
            empty = gr.HTML(_EMPTY, padding=False, elem_id="video-empty")
            with gr.Column(visible=False, elem_id="video-result") as result:
                preview = gr.Video(
                    label="Preview",
                    interactive=False,
                    autoplay=True,
                    loop=True,
                    buttons=[],
                    elem_id="preview",
                )
                save = gr.DownloadButton("Download", elem_id="save-video")
                notes = gr.HTML(padding=False, elem_id="video-notes")

    def show_plate(now: str) -> list[Any]:
        return [gr.Column(visible=now == _PICTURE), gr.Column(visible=now == _NUMBER)]

    def show_codec(now: str) -> Any:
        return gr.Column(visible=now == "Transparent")

    plate.change(show_plate, plate, [of_picture, of_number], queue=False, **PRIVATE)
    background[0].change(show_codec, background[0], of_codec, queue=False, **PRIVATE)
    button.click(
        _Events(site).matte,
        [clip, plate, picture, number, codec, *background],
        [empty, result, preview, save, notes],
        show_progress_on=[empty, preview],
        scroll_to_output=True,
        **QUEUED,
    )


class _Events:
    """What happens when a visitor clicks."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def matte(
        self,
        request: gr.Request,
        clip: str | None,
        *values: Any,
    ) -> list[Any]:
        """Mattes the clip, and shows it."""
        plate, picture, number, codec, kind, colour, behind = values
        progress = gr.Progress()
        site, visits = self._site, self._site.visits
        with visits.told():
            if clip is None:
                raise ValueError("the clip is missing: drop it into its field")
            job = ClipJob(
                src=Path(clip),
                median=plate == _MEDIAN,
                number=int(number or 0) if plate == _NUMBER else None,
                picture=Path(picture) if picture else None,
                target=make_target(kind, colour, behind),
                codec=CODECS[codec],
            )
            progress(0, desc="Reading the plate")

            def tell(done: int, total: int | None) -> None:
                progress((done, total), desc="Matting", unit="frames")

            visit = visits.of(request)
            made = matte_clip(job, site.matting.predictor, site.limits, visit.new_file, tell)
            text = visits.list_notes(made.notes, "The capture is good.")
        size = made.file.stat().st_size / 1e6
        label = f"Download ({made.file.suffix[1:].upper()}, {size:.1f} MB)"
        button = gr.DownloadButton(label, value=str(made.file))
        return [
            gr.HTML(visible=False),
            gr.Column(visible=True),
            str(made.preview),
            button,
            text,
        ]
