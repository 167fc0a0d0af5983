"""Which part of the input a shard is: by name alone, the same in every process."""

import unicodedata

import pytest

from matting.shards import WHOLE, Shard, parse_shard, read_shard


def test_every_name_is_in_one_part_and_the_parts_are_alike() -> None:
    names = [f"day {number % 7}/IMG_{number:05}.JPG" for number in range(8000)]
    parts = [{name for name in names if Shard(index, 8).holds(name)} for index in range(8)]
    assert sorted(name for part in parts for name in part) == sorted(names)
    # 1,000 each on average; the standard deviation of a fair draw is 30.
    assert all(850 < len(part) < 1150 for part in parts)
    assert all(WHOLE.holds(name) for name in names)


def test_parts_are_the_same_for_ever() -> None:
    """Workers of another release or machine must agree: these were drawn once."""
    names = ["a.jpg", "b.jpg", "sub/a.jpg", "Åre 写真.png"]
    assert [next(i for i in range(8) if Shard(i, 8).holds(name)) for name in names] == [1, 6, 2, 3]
    accents = (unicodedata.normalize(form, "Åre/é.png") for form in ("NFC", "NFD"))
    one, other = ([Shard(i, 64).holds(name) for i in range(64)] for name in accents)
    assert one == other


def test_ranges_meet_and_cover_all() -> None:
    for total in (0, 1, 7, 8, 1000):
        spans = [Shard(index, 8).span(total) for index in range(8)]
        assert [number for span in spans for number in span] == list(range(total))
        assert max(map(len, spans)) - min(map(len, spans)) <= 1


@pytest.mark.parametrize("text", ["8/8", "1", "-1/8", "a/b", "1/0", "1/8/2", "1.5/8", ""])
def test_wrong_parts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="--shard is I/N: part I, from 0 to N - 1"):
        parse_shard(text)


def test_summaries_are_told_apart_by_name() -> None:
    assert parse_shard("3/8") == Shard(3, 8)
    assert parse_shard(None) == parse_shard("0/1") == WHOLE
    assert Shard(3, 8).summary == "summary-3-of-8.json"
    assert WHOLE.summary == "summary.json"
    assert read_shard("summary-3-of-8.json") == Shard(3, 8)
    assert [read_shard(name) for name in ("summary.json", "summary-8-of-8.json", "a")] == [None] * 3
