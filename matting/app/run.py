"""Open a page in the browser that mattes photographs, videos and a camera.

Example: matting app
"""

import os
import sys
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from runtime.files import temporary_folder
from runtime.settings import parse_settings, settings_group, to_yaml

from ..library import Matting
from ..settings import ComputeSettings, ModelSettings
from .limits import Limits
from .origin import LOCAL, LocalOnly

_HERE = "Your files stay on this computer."
_THERE = "Your files go to the computer that runs this page, and are removed when you leave."


@settings_group()
class Settings:
    """All settings of the page."""

    host: str = "127.0.0.1"
    """Address to listen at. 127.0.0.1 is reached from this computer alone, 0.0.0.0 from every
    network that it is in."""
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """Port to listen at; the first free one from 7860 on when not given."""
    limits: Limits = field(default_factory=Limits)
    model: ModelSettings = field(default_factory=ModelSettings)
    compute: ComputeSettings = field(default_factory=ComputeSettings)
    config: Path | None = None
    """YAML file of settings; the command line wins over it."""
    print_config: bool = False
    """Print the resolved settings as YAML and stop."""


def main() -> int:
    """Runs the program; returns its exit code."""
    settings = parse_settings(Settings, __doc__, sys.argv[1:])
    if settings.print_config:
        print(to_yaml(settings), end="")
        return 0
    with temporary_folder("matting-page-") as folder:
        page, options = prepare_page(settings, folder)
        if settings.host not in LOCAL:
            print(
                f"warning: the page listens at {settings.host}: whoever reaches this computer over "
                "the network can use it, without a password and unencrypted",
                file=sys.stderr,
            )
        _, address, _ = page.launch(**options, prevent_thread_lock=True, quiet=True)
        print(f"the page is at {address} (Ctrl-C ends it)", flush=True)
        try:
            page.block_thread()
        finally:
            page.close(verbose=False)
    return 0


def prepare_page(settings: Settings, folder: Path) -> tuple[Any, dict[str, Any]]:
    """Builds the page.

    Args:
        settings: see `Settings`.
        folder: an empty one, for what visitors upload and get.

    Returns:
        Gradio's `Blocks`, and what to launch it with.

    Raises:
        ValueError: without Gradio, or where the network can't be loaded.
    """
    # Before Gradio is imported: it reads them then.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_RUN_HISTORY"] = "False"
    os.environ["GRADIO_TEMP_DIR"] = str(folder.resolve())
    try:
        import gradio  # noqa: F401
        import safehttpx
    except ImportError as error:
        raise ValueError(f'the page needs Gradio ({error}): pip install "gradio>=6.31"') from error
    from .page import build_page
    from .style import CSS, make_theme
    from .visits import Site, Visits

    # Gradio downloads what a visitor names by address; all ways begin with this question.
    safehttpx.async_validate_url = _refuse_address
    place = _HERE if settings.host in LOCAL else _THERE
    matting = Matting.from_settings(settings.model, settings.compute)
    limits = settings.limits
    page = build_page(Site(matting, limits, Visits(folder), place))
    page.queue(max_size=limits.waiting, api_open=False)
    options: dict[str, Any] = {
        "server_name": settings.host,
        "server_port": settings.port,
        "share": False,
        "ssr_mode": False,
        "enable_monitoring": False,
        "footer_links": [],
        "max_file_size": f"{limits.megabytes}mb",
        "theme": make_theme(),
        "css": CSS,
    }
    if settings.host in LOCAL:
        from starlette.middleware import Middleware

        options["app_kwargs"] = {"middleware": [Middleware(LocalOnly)]}
    return page, options


async def _refuse_address(host: str) -> str:
    raise ValueError(f"this page downloads nothing, {host} neither")
