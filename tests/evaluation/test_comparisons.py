"""Which files belong together."""

from pathlib import Path

import pytest

from evaluation.comparisons import (
    ComparedFolders,
    ComparisonPlan,
    natural_key,
    plan_comparisons,
)


@pytest.fixture
def plan(tmp_path: Path):
    """Makes empty files, `FOLDER/NAME`, and plans over the folders that there are."""

    def make(*files: str, sequences: bool = False) -> ComparisonPlan:
        for file in files:
            (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / file).touch()
        folders = {p.name: p for p in tmp_path.iterdir()}
        return plan_comparisons(ComparedFolders(**folders), sequences)

    return make


def test_pairs_by_path_and_stem_and_lists_the_rest(plan) -> None:
    made = plan("true_pha/a.png", "true_pha/s/b.png", "pred_pha/s/b.webp", "pred_pha/c.png")
    assert [(pair.name, pair.pred_pha.name) for pair in made.comparisons] == [("s/b.png", "b.webp")]
    assert "no prediction: no picture named a" in made.failed["a.png"]
    assert [name for name in made.failed if name.endswith("c.png")]
    assert len(made.failed) == 2


def test_natural_order_and_the_frame_before(plan) -> None:
    names = ["x/10.png", "x/2.png", "x/1.png", "y/3.png"]
    files = [f"{kind}/{name}" for kind in ("true_pha", "pred_pha") for name in names]
    made = plan(*files, sequences=True)
    assert [pair.name for pair in made.comparisons] == ["x/1.png", "x/2.png", "x/10.png", "y/3.png"]
    before = [pair.before and tuple(path.name for path in pair.before) for pair in made.comparisons]
    assert before == [None, ("1.png", "1.png"), ("2.png", "2.png"), None]
    assert all(pair.before is None for pair in plan(*files).comparisons)


def test_no_change_over_a_gap(plan) -> None:
    truths = [f"true_pha/{n}.png" for n in (1, 2, 3, 4)]
    made = plan(*truths, "pred_pha/1.png", "pred_pha/3.png", "pred_pha/4.png", sequences=True)
    assert [pair.before and pair.before[1].stem for pair in made.comparisons] == [None, None, "3"]
    assert made.notes == ["3.png: no dtSSD, because the frame before has no prediction"]


def test_partners_are_needed_but_frames_are_not(plan) -> None:
    both = [f"{kind}/{name}.png" for kind in ("true_pha", "pred_pha") for name in "ab"]
    made = plan(*both, "src/a.jpg", "trimap/b.png", "trimap/z.png")
    assert [(pair.name, pair.trimap.name) for pair in made.comparisons] == [("b.png", "b.png")]
    assert "--trimap: no picture named a" in made.failed["a.png"]
    assert any("shown without a frame: b.png" in note for note in made.notes)
    assert any("unused files of --trimap" in note and "z.png" in note for note in made.notes)


def test_two_files_are_a_pair_whatever_their_names(tmp_path: Path) -> None:
    for name in ("matte.png", "truth.png"):
        (tmp_path / name).touch()
    made = plan_comparisons(ComparedFolders(tmp_path / "matte.png", tmp_path / "truth.png"), False)
    assert [(pair.pred_pha.name, pair.true_pha.name) for pair in made.comparisons] == [
        ("matte.png", "truth.png")
    ]


def test_wrong_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--pred-pha and --true-pha are the same"):
        plan_comparisons(ComparedFolders(tmp_path, tmp_path), False)
    with pytest.raises(ValueError, match="--true-fgr was given without --pred-fgr"):
        ComparedFolders(tmp_path, tmp_path / "a", true_fgr=tmp_path)


def test_natural_key_sorts_what_is_no_number_too() -> None:
    names = ["b", "a10", "a9", "10", "9", "a", "²"]
    keys = sorted(names, key=lambda name: natural_key(Path(name)))
    assert keys == ["9", "10", "a", "a9", "a10", "b", "²"]
