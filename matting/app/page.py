"""The page: three tabs, of which each hands what a visitor drops in to the program."""

import gradio as gr

from .tab_camera import build_camera
from .tab_photograph import build_photograph
from .tab_video import build_video
from .visits import Site

# Files of a visitor go with the visit; of what is left, every ten minutes that of two hours ago.
_CLEANED = 600, 7200


def build_page(site: Site) -> gr.Blocks:
    """Builds the page; it is not started."""
    with gr.Blocks(
        title="Background matting", analytics_enabled=False, delete_cache=_CLEANED
    ) as page:
        gr.Markdown(
            "# Background matting\nCut out a subject, down to single hairs, with a second picture "
            f"of the empty scene: the plate. {site.place}",
            elem_id="head",
        )
        with gr.Tab("Photograph", id="photograph"):
            build_photograph(site)
        with gr.Tab("Video", id="video"):
            build_video(site)
        with gr.Tab("Camera", id="camera"):
            build_camera(site)
        page.unload(site.visits.end)
    return page
