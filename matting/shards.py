"""Shards of a run: one of N workers that share the same input, without talking to each other."""

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

_SUMMARY = re.compile(r"summary-(\d{1,9})-of-(\d{1,9})\.json")
SUMMARY = "summary.json"


def hash_text(text: str) -> int:
    """A 64-bit hash of a text that is the same in every process and on every machine."""
    data = text.encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "big")


@dataclass(frozen=True)
class Shard:
    """One of `count` parts of the input, numbered from 0."""

    index: int = 0
    count: int = 1

    @property
    def summary(self) -> str:
        """Name of the file of its summary."""
        return f"summary-{self.index}-of-{self.count}.json" if self.count > 1 else SUMMARY

    def holds(self, name: str) -> bool:
        """Whether a name belongs to this part.

        Depends on the name alone, Unicode-normalised because file systems spell accented letters
        differently: other names may come and go.
        """
        if self.count == 1:
            return True
        return hash_text(unicodedata.normalize("NFC", name)) % self.count == self.index

    def span(self, total: int) -> range:
        """Its numbers of 0 to `total - 1`, where the parts are ranges of nearly equal length."""
        return range(total * self.index // self.count, total * (self.index + 1) // self.count)

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


WHOLE = Shard()


def parse_shard(text: str | None) -> Shard:
    """Parses `--shard`; raises ValueError if it is not I/N with 0 <= I < N."""
    if text is None:
        return WHOLE
    found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text.strip())
    if not found or int(found[1]) >= int(found[2]):
        raise ValueError(
            f"--shard is I/N: part I, from 0 to N - 1, of N, such as 0/8 to 7/8; got {text!r}"
        )
    return Shard(int(found[1]), int(found[2]))


def describe_part(shard: Shard, names: Collection[str]) -> dict[str, Any]:
    """Facts for a part's summary: which it is, and what tells the list of all names from another.

    Empty for the whole.
    """
    if shard.count == 1:
        return {}
    digest = sum(map(hash_text, names)) % 2**64
    return {"shard": {"part": str(shard), "frames": len(names), "names": f"{digest:016x}"}}


def read_shard(summary: str) -> Shard | None:
    """Which part a summary is of, by its file's name; None if it is of none."""
    found = _SUMMARY.fullmatch(summary)
    shard = Shard(int(found[1]), int(found[2])) if found else WHOLE
    # Numbers are written in one way.
    return shard if shard.index < shard.count and shard.summary == summary != SUMMARY else None
