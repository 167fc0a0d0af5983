"""Fields for files: what is uploaded reaches the program as it is."""

import os
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder


def picture_upload(label: str, what: str, name: str, **options: Any) -> gr.Image:
    """A field for a picture, whose file is handed on untouched; `what` says which one to drop."""
    return _hand_on_file(
        gr.Image(
            label=label,
            sources=["upload"],
            placeholder=f"Drop or choose {what}",
            type="filepath",
            image_mode=None,
            buttons=["fullscreen"],
            min_width=120,
            elem_id=name,
            **options,
        )
    )


def clip_upload(label: str, name: str, **options: Any) -> gr.Video:
    """A field for a clip, whose file is handed on untouched."""
    return _hand_on_file(
        gr.Video(
            label=label,
            sources=["upload"],
            include_audio=True,
            buttons=[],
            elem_id=name,
            **options,
        )
    )


def camera_stream(label: str, name: str, **options: Any) -> gr.Image:
    """A visitor's camera, whose pictures are handed on as a browser sends them; see `decode`."""
    constraints = {"width": {"ideal": 640}, "height": {"ideal": 480}}
    component: Any = gr.Image(
        label=label,
        sources=["webcam"],
        streaming=True,
        webcam_options=gr.WebcamOptions(mirror=True, constraints=constraints),
        elem_id=name,
        **options,
    )
    component.preprocess = lambda payload: payload and payload.url
    return component


def _hand_on_file(component: Any) -> Any:
    """Skips Gradio's own decoding, which fails without a sentence."""
    component.preprocess = lambda payload: payload and payload.path and _check_path(payload.path)
    return component


def _check_path(path: str) -> str:
    """Raises unless a file lies where uploads do.

    Gradio checks that of what is marked as a file; whoever asks past the page may leave out the
    mark.
    """
    real = Path(os.path.realpath(path.replace("\0", "")))
    if not real.is_relative_to(os.path.realpath(get_upload_folder())) or not real.is_file():
        sentence = "This page opens only files that were uploaded to it"
        raise gr.Error(sentence, print_exception=False)
    return path
