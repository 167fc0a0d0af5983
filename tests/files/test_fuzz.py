"""What the tests of damaged files rely on: damage that repeats, and faults that are found."""

import os
import random
import time
from pathlib import Path

import numpy as np
import pytest

from . import fuzz

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def test_damage_repeats_and_is_damage() -> None:
    data = bytes(range(256)) * 4
    first, second = (
        [fuzz.mutate(data, chance) for _ in range(50)]
        for chance in (random.Random(1), random.Random(1))
    )
    assert first == second
    assert len(set(first)) > 45


def test_every_kind_of_fault_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "SECONDS", 1)

    def work(path: Path) -> None:
        if path.name == "refused":
            raise ValueError("as it should")
        if path.name == "wrong":
            raise KeyError("a\nb")
        if path.name == "hangs":
            time.sleep(60)
        if path.name == "crashes":
            os.abort()
        if path.name == "grows":
            np.ones(2 * fuzz.MEMORY, np.uint8)

    names = ["right", "refused", "wrong", "hangs", "crashes", "right again", "grows", "last"]
    wrong = fuzz.run_all(work, [tmp_path / name for name in names], (ValueError,))
    assert list(wrong) == ["wrong", "hangs", "crashes", "grows"]
    assert "KeyError" in wrong["wrong"]
    assert wrong["hangs"] == "took over 30 s"
    assert wrong["crashes"] == "ended by -6"
    assert "MemoryError" in wrong["grows"]
