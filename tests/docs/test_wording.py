"""README in sentences that are read once."""

import re

from tests.docs.pages import ROOT

LONGEST = 30  # words


def sentences(text: str) -> list[str]:
    """The sentences of a page: prose, items of lists, cells of tables and texts of pictures."""
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    text = re.sub(r"!?\[(.*?)\]\(\S+?\)", r"\1", text)
    text = re.sub(r"`[^`]*`", "CODE", text)
    # A paragraph goes on in lines that begin with a letter.
    text = re.sub(r"(?m)^((?![#|]).*\S)\n(?=\w|[\"(*_]\w)", r"\1 ", text)
    found = []
    for line in text.splitlines():
        cells = line.split("|") if line.startswith("|") else [line]
        for cell in cells:
            found += re.split(r"(?<=[.!?])\s+", cell.strip("#-* "))
    return [sentence for sentence in found if sentence]


def test_no_sentence_of_readme_is_long() -> None:
    found = sentences((ROOT / "README.md").read_text("utf-8"))
    assert len(found) > 50
    assert [s for s in found if len(s.split()) > LONGEST] == []


def test_sentences_are_told_apart() -> None:
    text = "# A title\nOne. Two [words](a.md) `x y z`.\n| a | b: c |\n"
    text += "```bash\nls\n```\n- d\ngoes on\nand on."
    assert sentences(text) == [
        *("A title", "One.", "Two words CODE.", "a", "b: c"),
        "d goes on and on.",
    ]


def test_readme_opens_with_what_a_new_reader_needs() -> None:
    """What fits a screen of 1280 x 800 pixels with a picture at most 350 pixels high."""
    head = (ROOT / "README.md").read_text("utf-8").split("\n## ")[0]
    parts = ["![", "the plate", "badge.svg", "Results:", "pip install .", "matting images --"]
    places = [head.index(part) for part in parts]
    assert places == sorted(places)
    assert len(head.splitlines()) <= 18
    assert len(sentences(head)) <= 14
