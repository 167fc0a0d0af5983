"""The program, as a user calls it."""

import sys
from typing import Any

import pytest

from matting.app import run

from .conftest import need_gradio


class Page:
    """Stands in for Gradio's, and ends at once."""

    launched: dict[str, Any]

    def launch(self, **options: Any) -> tuple[None, str, str]:
        self.launched = options
        return None, "http://there/", ""

    def block_thread(self) -> None: ...

    def close(self, verbose: bool) -> None: ...


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sets back what the program sets, which a server of other tests may need."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", "")


def test_without_gradio_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    monkeypatch.setattr(sys, "argv", ["app"])
    with pytest.raises(ValueError, match=r'needs Gradio .*: pip install "gradio>=6'):
        run.main()


@pytest.mark.parametrize(
    ("flags", "host", "warned"),
    [([], "127.0.0.1", False), (["--host", "0.0.0.0"], "0.0.0.0", True)],
)
def test_it_listens_here_alone_unless_asked(
    flags: list[str],
    host: str,
    warned: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    need_gradio()
    page, prepare = Page(), run.prepare_page

    def prepare_other(*args: Any) -> tuple[Any, dict[str, Any]]:
        return page, prepare(*args)[1]

    monkeypatch.setattr(run, "prepare_page", prepare_other)
    monkeypatch.setattr(sys, "argv", ["app", *flags])
    assert run.main() == 0
    told = capsys.readouterr()
    assert page.launched["server_name"] == host
    assert page.launched["share"] is False
    assert ("whoever reaches this computer over the network" in told.err) is warned
    assert "the page is at http://there/" in told.out


def test_limits_are_flags(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["app", "--max-seconds", "7", "--print-config"])
    assert run.main() == 0
    assert "seconds: 7\n" in capsys.readouterr().out
