"""Names of files: paths and URLs."""

import pickle
from pathlib import Path

import pytest

from runtime.settings import REQUIRED, parse_settings, settings_group, to_plain, to_yaml
from storage.location import AnyLocation, OptionalLocation, Url, name_below, parse_location


@pytest.mark.parametrize(("text", "shown", "name", "suffix"), [
    ("s3://b/a/c d.png", "s3://b/a/c d.png", "c d.png", ".png"),
    ("S3://b/a/", "s3://b/a", "a", ""),
    ("s3://b", "s3://b", "b", ""),
    ("gs://b/a%20?x#y.JPG", "gs://b/a%20?x#y.JPG", "a%20?x#y.JPG", ".JPG"),
    ("https://h:8/a/b%20ü.png?sig=1#x", "https://h:8/a/b%20%C3%BC.png", "b ü.png", ".png"),
    ("http://127.0.0.1:8/a", "http://127.0.0.1:8/a", "a", ""),
])  # fmt: skip
def test_urls_keep_their_parts(text: str, shown: str, name: str, suffix: str) -> None:
    url = parse_location(text)
    assert (str(url), url.name, url.suffix) == (shown, name, suffix)
    assert pickle.loads(pickle.dumps(url)) == url
    assert len({url, parse_location(text)}) == 1
    assert parse_location(url) is url


def test_the_end_of_a_web_address_is_sent_and_not_shown() -> None:
    url = parse_location("https://h/a.png?X-Amz-Signature=secret")
    assert url.address == "https://h/a.png?X-Amz-Signature=secret"
    assert "secret" not in f"{url} {url!r}"
    assert url != parse_location("https://h/a.png?X-Amz-Signature=other")


@pytest.mark.parametrize(("text", "path"), [
    ("a/b.png", "a/b.png"), ("/a", "/a"), ("file:///a/b%20c", "/a/b c"), ("./s3:/b", "s3:/b"),
])  # fmt: skip
def test_others_are_paths(text: str, path: str) -> None:
    assert parse_location(text) == Path(path)


@pytest.mark.parametrize(("text", "error"), [
    ("ftp://h/a", "ftp:// is not known; use s3://, gs://, https://"),
    ("s3:///a", "names no bucket"),
    ("s3:/b", "begins with s3://, not s3:/;"),
    ("HTTPS:/user:secret@h", "begins with HTTPS://, not"),
    ("https:///a", "names no host"),
    ("http://example.org/a", "not encrypted"),
    ("file://host/a", "another machine's"),
    ("s3://key:secret@b/a", "must not hold a name or password"),
    ("https://user:secret@h/a", "must not hold a name or password"),
    ("https:///a?key=secret", "names no host"),
    ("https://user:secret@h\u2100/a", "the host or port of a https:// address is not valid"),
    ("https://user:secret@[h/a", "the host or port of a https:// address is not valid"),
    ("https://h:99999/a?key=secret", "the host or port of a https:// address is not valid"),
    ("file://user:secret@h/a", "another machine's"),
])  # fmt: skip
def test_wrong_urls_are_refused_without_their_password(text: str, error: str) -> None:
    with pytest.raises(ValueError, match=error) as caught:
        parse_location(text)
    assert "secret" not in str(caught.value)


def test_names_below_and_above() -> None:
    bucket = parse_location("s3://b")
    assert str(bucket / "a/b.png") == "s3://b/a/b.png"
    assert (bucket / "a/b.png").parent == bucket / "a"
    assert (bucket / "a").parent == bucket
    web = parse_location("https://h") / "a b/%.png"
    assert (str(web), web.name, web.stem) == ("https://h/a%20b/%25.png", "%.png", "%")


def test_urls_do_not_change_and_are_no_paths() -> None:
    url = parse_location("s3://b/a")
    with pytest.raises(AttributeError, match="can't be changed"):
        url.key = "b"
    with pytest.raises(TypeError):
        Path(url)


def test_finds_the_name_below_a_folder() -> None:
    url = parse_location("s3://b/a/c/d.png")
    assert name_below(url, parse_location("s3://b/a")) == "c/d.png"
    assert name_below(url, parse_location("s3://b")) == "a/c/d.png"
    assert name_below(Path("a/b/c"), Path("a")) == "b/c"
    for other in ("s3://b/ab", "s3://c", "s3://b/a/c/d.png", "a"):
        with pytest.raises(ValueError, match=r"is not in"):
            name_below(url, parse_location(other))


@settings_group()
class Settings:
    """Settings of this test."""

    src: AnyLocation = REQUIRED
    """Frames."""
    other: OptionalLocation = None
    """Others."""
    config: Path | None = None
    """File."""


def test_settings_take_urls_from_flags_and_files(tmp_path: Path) -> None:
    flags = parse_settings(Settings, "", ["--src", "s3://b/a", "--other", "x/y"])
    assert (flags.src, flags.other) == (Url("s3", "b", "a"), Path("x/y"))
    assert to_plain(flags) == {"src": "s3://b/a", "other": "x/y", "config": None}
    assert parse_settings(Settings, "", ["--src", "a"]).other is None
    file = tmp_path / "a.yaml"
    file.write_text(to_yaml(flags))
    assert parse_settings(Settings, "", ["--config", str(file)]) == Settings(
        src=flags.src, other=flags.other, config=file
    )
    read = parse_settings(Settings, "", ["--config", str(file), "--other", "gs://c/d"])
    assert (read.src, read.other) == (Url("s3", "b", "a"), Url("gs", "c", "d"))


def test_settings_say_what_is_wrong_with_a_url(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("src: ftp://x/y\n")
    with pytest.raises(ValueError, match=r"key 'src': ftp:// is not known"):
        parse_settings(Settings, "", ["--config", str(file)])
    file.write_text("src: s3://key:secret@x/y\n")
    with pytest.raises(ValueError, match=r"key 'src': .*name or password") as caught:
        parse_settings(Settings, "", ["--config", str(file)])
    assert "secret" not in str(caught.value)
    with pytest.raises(SystemExit):
        parse_settings(Settings, "", ["--src", "ftp://x/y"])
    assert "ftp:// is not known" in capsys.readouterr().err
