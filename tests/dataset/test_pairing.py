"""Pairing by relative path and stem."""

import unicodedata
from pathlib import Path

from dataset.pairing import pair_by_stem, stem_key

FRAMES, PLATES = Path("frames"), Path("plates")


def pair(frames: list[str], plates: list[str]):
    return pair_by_stem([FRAMES / f for f in frames], FRAMES, [PLATES / p for p in plates], PLATES)


def test_pairs_by_relative_path_and_stem_not_by_order() -> None:
    pairing = pair(["a/1.jpg", "a/2.jpg", "b/1.jpg"], ["b/1.png", "a/2.JPG", "a/1.tif"])
    assert {k.as_posix(): v.as_posix() for k, v in pairing.matched.items()} == {
        "frames/a/1.jpg": "plates/a/1.tif",
        "frames/a/2.jpg": "plates/a/2.JPG",
        "frames/b/1.jpg": "plates/b/1.png",
    }
    assert (pairing.unmatched, pairing.unused) == ({}, [])


def test_unmatched_ambiguous_and_unused_are_told() -> None:
    pairing = pair(["1.jpg", "2.jpg", "3.jpg"], ["1.png", "2.png", "2.jpg", "4.png"])
    assert pairing.matched == {FRAMES / "1.jpg": PLATES / "1.png"}
    assert pairing.unmatched == {
        FRAMES / "2.jpg": "several pictures named 2 in plates: 2.png, 2.jpg",
        FRAMES / "3.jpg": "no picture named 3 in plates",
    }
    assert pairing.unused == [PLATES / "4.png"]


def test_single_file_pairs_by_its_own_stem() -> None:
    frame = Path("anywhere/7.jpg")
    assert pair_by_stem([frame], frame, [PLATES / "7.png"], PLATES).matched == {
        frame: PLATES / "7.png"
    }


def test_both_unicode_spellings_are_one_name() -> None:
    composed, decomposed = (unicodedata.normalize(form, "Müller") for form in ("NFC", "NFD"))
    assert composed != decomposed
    keys = {stem_key(FRAMES / f"{name}.jpg", FRAMES) for name in (composed, decomposed)}
    assert keys == {composed}
