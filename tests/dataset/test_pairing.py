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
    pairing = pair(["1.jpg", "2.jpg", "3.jpg"], ["1.png", "2.png", "2.tif", "4.png"])
    assert pairing.matched == {FRAMES / "1.jpg": PLATES / "1.png"}
    assert pairing.unmatched == {
        FRAMES / "2.jpg": "several pictures named 2 in plates: 2.png, 2.tif",
        FRAMES / "3.jpg": "no picture named 3 in plates",
    }
    assert pairing.unused == [PLATES / "4.png"]


def test_several_of_one_stem_pair_by_full_name() -> None:
    pairing = pair(["a.jpg", "a.png", "b.JPG", "c.tif"], ["a.png", "a.jpg", "b.jpg", "b.png"])
    assert {k.name: v.name for k, v in pairing.matched.items()} == {
        "a.jpg": "a.jpg",
        "a.png": "a.png",
        "b.JPG": "b.jpg",
    }
    assert list(pairing.unmatched) == [FRAMES / "c.tif"]
    assert pairing.unused == [PLATES / "b.png"]


def test_names_that_differ_in_unicode_spelling_alone_pair_as_they_are() -> None:
    names = [unicodedata.normalize(form, "é.jpg") for form in ("NFC", "NFD")]
    pairing = pair(names, names[::-1])
    assert {k.name: v.name for k, v in pairing.matched.items()} == {n: n for n in names}


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
