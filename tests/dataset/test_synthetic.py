"""Synthetic foregrounds: seeded, exact, varied, and never dark at their edges."""

import pickle
from dataclasses import replace

import cv2
import numpy as np
import pytest

from dataset.synthetic import (
    SyntheticForegrounds,
    draw_background,
    draw_foreground,
    growth,
    objects,
    people,
)
from dataset.synthetic import canvas as parts
from dataset.synthetic import foregrounds as synthetic
from dataset.synthetic.canvas import Canvas, extend_colours
from dataset.synthetic.growth import draw_strands
from dataset.synthetic.materials import PATTERN_WEIGHTS, paint, random_material, smooth_noise
from dataset.synthetic.objects import OBJECTS
from dataset.synthetic.shapes import blur_motion, fill, limb, smooth_path

cv2.setNumThreads(1)


def sample(seed: int, size: int = 128, background: np.ndarray | None = None) -> tuple:
    return draw_foreground(np.random.default_rng(seed), size, size, background)


@pytest.fixture(scope="module")
def samples() -> list[tuple[np.ndarray, np.ndarray]]:
    return [sample(seed, 160) for seed in range(60)]


@pytest.mark.parametrize("size", [(32, 32), (128, 224), (270, 481), (2048, 2048)])
def test_sizes(size: tuple[int, int]) -> None:
    foreground, alpha = draw_foreground(np.random.default_rng(3), *size)
    assert (foreground.shape, foreground.dtype) == ((*size, 3), np.uint8)
    assert (alpha.shape, alpha.dtype) == (size, np.uint8)
    assert alpha.max() > 200
    assert foreground.flags.c_contiguous
    assert alpha.flags.c_contiguous


@pytest.mark.parametrize("size", [(32, 32), (96, 160)])
def test_backgrounds(size: tuple[int, int]) -> None:
    pictures = [draw_background(np.random.default_rng(seed), *size) for seed in (0, 0, 1)]
    assert {(p.shape, p.dtype.name) for p in pictures} == {((*size, 3), "uint8")}
    assert np.array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[0], pictures[2])


def test_the_state_of_the_generator_decides() -> None:
    rng = np.random.default_rng(5)
    state = rng.bit_generator.state
    first, following = (draw_foreground(rng, 96, 96) for _ in range(2))
    rng.bit_generator.state = state
    again = draw_foreground(rng, 96, 96)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[1], following[1])


def test_content_does_not_depend_on_resolution() -> None:
    differences = []
    for seed in range(12):
        small, large = sample(seed, 128)[1], sample(seed, 512)[1]
        reduced = cv2.resize(large, (128, 128), interpolation=cv2.INTER_AREA)
        differences.append(np.abs(reduced.astype(float) - small).mean() / 255)
    # Hairs and thin lines have no exact counterpart; other pictures differ by 0.3 and more.
    assert np.median(differences) < 0.02
    assert max(differences) < 0.1


def test_dataset_is_seeded_by_epoch_and_index() -> None:
    dataset = SyntheticForegrounds(4, seed=7)
    assert len(dataset) == 4
    assert [list(run) for run in dataset.runs] == [[0], [1], [2], [3]]
    assert dataset.name(2) == "synthetic 2 (seed 7)"
    alphas = [dataset.draw(index, epoch, 64, 96)[1] for epoch in (0, 1) for index in range(4)]
    assert alphas[0].shape == (64, 96)
    for i, a in enumerate(alphas):
        assert not any(np.array_equal(a, b) for b in alphas[:i])
    other = SyntheticForegrounds(4, seed=8)
    assert not np.array_equal(other.draw(0, 0, 64, 96)[1], alphas[0])
    assert np.array_equal(dataset.draw(2, 0, 64, 96)[1], alphas[2])


def test_dataset_travels_to_workers() -> None:
    dataset = SyntheticForegrounds(3, seed=1)
    copy = pickle.loads(pickle.dumps(dataset))
    pairs = zip(copy.draw(1, 2, 64, 64), dataset.draw(1, 2, 64, 64), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)


def test_alpha_has_all_that_matting_needs(samples: list) -> None:
    alphas = np.stack([alpha for _, alpha in samples])
    area = alphas.mean((1, 2)) / 255
    assert area.min() >= synthetic.AREA_BOUNDS[0]
    assert area.max() <= synthetic.AREA_BOUNDS[1]
    assert (area > 0.5).sum() >= 5  # subjects that fill the frame
    assert (area < 0.15).sum() >= 5
    soft = ((alphas > 0) & (alphas < 255)).mean((1, 2))
    assert 0.3 < (alphas == 0).mean() < 0.85
    assert 0.1 < (alphas == 255).mean() < 0.6
    assert 0.02 < soft.mean() < 0.25
    assert soft.min() > 0.0005  # every edge is anti-aliased
    touching = [
        a[0].max() > 200 or a[-1].max() > 200 or a[:, 0].max() > 200 or a[:, -1].max() > 200
        for a in alphas
    ]
    assert 0.4 < np.mean(touching) < 0.98


def test_some_have_holes_and_several_parts(samples: list) -> None:
    holes, parts = 0, 0
    for _, alpha in samples:
        outside = (alpha < 128).astype(np.uint8)
        _, _, statistics, _ = cv2.connectedComponentsWithStats(outside, connectivity=4)
        height, width = alpha.shape
        for left, top, w, h, area in statistics[1:]:
            inside = left > 0 and top > 0 and left + w < width and top + h < height
            holes += inside and area >= 20
        parts += cv2.connectedComponents(1 - outside)[0] > 2
    assert holes >= 15
    assert parts >= 8


def test_colours_continue_beyond_the_edge(samples: list) -> None:
    kernel = np.ones((7, 7), np.uint8)
    errors, premultiplied = [], []
    for foreground, alpha in samples:
        solid = (alpha > 250).astype(np.uint8)
        ring = (cv2.dilate(solid, kernel) > 0) & (alpha == 0)
        if solid.sum() < 200 or ring.sum() < 50:
            continue
        # What lies beyond the edge against the mean of the solid pixels nearby.
        weight = cv2.blur(solid.astype(np.float32), (15, 15))[..., None]
        mean = cv2.blur(foreground * solid[..., None].astype(np.float32), (15, 15)) / np.maximum(
            weight, 1e-6
        )
        errors.append(np.abs(foreground - mean)[ring].mean())
        premultiplied.append(mean[ring].mean())
    assert len(errors) > 30
    assert np.median(errors) < 25
    # Black beyond the edge would miss by the colours' own mean.
    assert np.median(errors) < 0.4 * np.median(premultiplied)


def test_soft_pixels_are_not_premultiplied(samples: list) -> None:
    faint, strong = [], []
    for foreground, alpha in samples:
        light = foreground.mean(-1)
        edge = (alpha > 5) & (alpha < 80)
        near = (cv2.dilate(edge.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0) & (alpha > 200)
        if edge.sum() > 30 and near.sum() > 30:
            faint.append(light[edge].mean())
            strong.append(light[near].mean())
    # Premultiplied colours would be darker by the mean alpha, about 0.15.
    assert np.sum(faint) > 0.85 * np.sum(strong)


def test_extended_colours_by_value() -> None:
    colour, alpha = np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64), np.uint8)
    colour[20:40, 20:40], alpha[20:40, 20:40] = (200, 100, 50), 255
    colour[20:40, 40], alpha[20:40, 40] = (200, 100, 50), 1
    extended = extend_colours(colour, alpha)
    assert np.abs(extended.astype(int) - (200, 100, 50)).max() <= 1
    assert np.array_equal(colour[0, 0], (0, 0, 0))  # the argument is unchanged
    colour[:], alpha[:] = 0, 0
    large = np.zeros((1024, 1024, 3), np.uint8)
    large[500, 500] = (200, 100, 50)
    only = np.zeros((1024, 1024), np.uint8)
    only[500, 500] = 9
    # A single known pixel decides the whole picture.
    assert np.abs(extend_colours(large, only).astype(int) - (200, 100, 50)).max() <= 1
    grey = extend_colours(colour, alpha)
    assert (grey == 128).all()


def test_parts_take_the_colours_of_the_background(monkeypatch: pytest.MonkeyPatch) -> None:
    background = np.full((128, 128, 3), (30, 160, 220), np.uint8)

    def similar() -> float:
        shares = []
        for seed in range(40):
            foreground, alpha = sample(seed, 128, background)
            distance = np.abs(foreground.astype(int) - background).mean(-1)
            shares.append((distance[alpha > 128] < 30).mean())
        return float(np.mean(np.array(shares) > 0.2))

    usual = similar()
    monkeypatch.setattr(synthetic, "SIMILAR_SHARE", 0.0)
    never = similar()
    monkeypatch.setattr(synthetic, "SIMILAR_SHARE", 1.0)
    monkeypatch.setattr(people, "SIMILAR_PART_SHARE", 1.0)
    monkeypatch.setattr(objects, "SIMILAR_PART_SHARE", 1.0)
    always = similar()
    assert never <= 0.1
    assert 0.15 <= usual <= 0.5
    assert always >= 0.75


def test_shaded_cloth_has_the_backgrounds_light_but_not_its_texture() -> None:
    rng = np.random.default_rng(0)
    light = np.linspace(60, 200, 128)[None, :, None]  # uneven, from left to right
    background = np.clip(light + rng.normal(0, 20, (128, 128, 3)), 0, 255).astype(np.uint8)
    canvas = Canvas(rng, 128, 128, (0.0, -1.0), background)
    cloth = replace(random_material(rng), source="shaded", factor=0.5, relief=0.0, folds=0.0)
    canvas.fill(np.array(((4, 4), (124, 4), (124, 124), (4, 124))), material=cloth)
    inside = canvas.colour[10:118, 10:118].astype(float)
    expected = np.broadcast_to(0.5 * light[:, 10:118], inside.shape)
    assert np.abs(inside - expected).mean() < 4  # the mean of some 64 values of deviation 10
    assert inside[:, 50].std() < 4 < 0.5 * background[:, 60].std()


def test_motion_follows_a_bent_path() -> None:
    point = np.zeros((41, 41), np.uint8)
    point[20, 20] = 255
    for bend, middle in ((0.0, 20), (0.5, 15)):
        rows, columns = np.nonzero(blur_motion(point, 10.0, 0.0, bend) > 5)
        assert columns.min() <= 11
        assert columns.max() >= 29
        assert abs(rows[columns == 20].mean() - middle) <= 1
        assert abs(rows[columns == columns.min()].mean() - 20) <= 1


def test_whiskers_stand_apart() -> None:
    canvas = Canvas(np.random.default_rng(3), 256, 256, (0.0, -1.0))
    growth.draw_whiskers(canvas, np.array((128.0, 128.0)), 90.0)
    thin = cv2.morphologyEx(canvas.alpha, cv2.MORPH_TOPHAT, np.ones((9, 9), np.uint8))
    strands, _ = cv2.connectedComponents((thin > 60).astype(np.uint8))
    assert strands > 5


def test_similarity_leaves_the_shapes_alone() -> None:
    background = draw_background(np.random.default_rng(0), 96, 96)
    for seed in range(5):
        assert np.array_equal(sample(seed, 96)[1], sample(seed, 96, background)[1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 64, 64), r"numpy.random.Generator, got int.*default_rng"),
        ((np.random.default_rng(0), 31, 64), "height must be at least 32 pixels, got 31"),
        ((np.random.default_rng(0), 64, 8), "width must be at least 32 pixels, got 8"),
        ((np.random.default_rng(0), 64.0, 64), "height must be a whole number"),
        ((np.random.default_rng(0), 64, True), "width must be a whole number"),
    ],
)
def test_wrong_sizes(arguments: tuple, message: str) -> None:
    for draw in (draw_foreground, draw_background):
        with pytest.raises(ValueError, match=message):
            draw(*arguments)


@pytest.mark.parametrize(
    "background",
    [
        np.zeros((64, 65, 3), np.uint8),
        np.zeros((64, 64), np.uint8),
        np.zeros((64, 64, 3), np.float32),
        "wall.jpg",
    ],
)
def test_wrong_backgrounds(background: object) -> None:
    with pytest.raises(ValueError, match=r"\(64, 64, 3\) uint8.*resize it first"):
        draw_foreground(np.random.default_rng(0), 64, 64, background)


def test_parts_are_cut_out_of_a_photograph(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (50, 70, 3)).astype(np.uint8)
    background = draw_background(np.random.default_rng(0), 96, 96)

    def drawn(seed: int, photograph: np.ndarray | None) -> tuple:
        return draw_foreground(np.random.default_rng(seed), 96, 96, background, photograph)

    changed = 0
    for seed in range(10):
        without, once, again = (drawn(seed, photo) for photo in (None, picture, picture))
        assert np.array_equal(without[1], once[1])
        assert np.array_equal(once[0], again[0])
        changed += not np.array_equal(without[0], once[0])
    assert changed >= 8

    monkeypatch.setattr(parts, "PHOTOGRAPH_PART_SHARE", 0.0)
    assert all(np.array_equal(drawn(seed, None)[0], drawn(seed, picture)[0]) for seed in range(5))


def test_a_cut_out_is_a_piece_of_the_photograph() -> None:
    """Red to the left and green to the right, of a material that keeps the colours."""
    photograph = np.zeros((60, 80, 3), np.uint8)
    photograph[:, :40, 0], photograph[:, 40:, 1] = 200, 200
    whole = np.full((30, 40), 255, np.uint8)
    material = random_material(np.random.default_rng(0), pattern="stripes")
    canvas = Canvas(np.random.default_rng(0), 60, 60, (0.5, -0.7))
    tinted = coloured = 0
    for seed in range(40):
        piece = canvas.cut_out(photograph, replace(material, seed=seed), whole)
        assert piece.shape == (30, 40, 3)
        assert piece.dtype == np.uint8
        assert piece.max() > 0
        ratios = piece.reshape(-1, 3)[:, :2] / np.maximum(piece.reshape(-1, 3)[:, :2].max(), 1)
        coloured += bool((ratios.min(1) < 0.05).mean() > 0.9)
        tinted += bool(np.ptp(ratios[:, 0] - ratios[:, 1]) < 0.5)
    assert coloured >= 10
    assert tinted >= 10


@pytest.mark.parametrize(
    "photograph",
    [np.zeros((20, 20), np.uint8), np.zeros((20, 20, 3)), np.zeros((1, 20, 3), np.uint8)],
)
def test_wrong_photographs(photograph: np.ndarray) -> None:
    with pytest.raises(ValueError, match="photograph must be"):
        draw_foreground(np.random.default_rng(0), 64, 64, None, photograph)


def test_wrong_datasets() -> None:
    with pytest.raises(ValueError, match="length must be 1 or more, got 0"):
        SyntheticForegrounds(0)
    with pytest.raises(ValueError, match="seed must be 0 or more"):
        SyntheticForegrounds(1, seed=-1)
    dataset = SyntheticForegrounds(2)
    with pytest.raises(ValueError, match="height must be at least"):
        dataset.draw(0, 0, 16, 64)
    with pytest.raises(ValueError, match="epoch must be 0 or more"):
        dataset.draw(0, -1, 64, 64)
    with pytest.raises(IndexError, match="from 0 to 1, got 2"):
        dataset.draw(2, 0, 64, 64)


@pytest.mark.parametrize("pattern", list(PATTERN_WEIGHTS))
def test_every_pattern_fills_its_box(pattern: str) -> None:
    material = random_material(np.random.default_rng(2), np.array((200, 120, 60)), pattern)
    for size in ((1, 1), (1, 40), (60, 33), (900, 20)):
        colour = paint(material, np.full(size, 255, np.uint8), 64.0, (0.5, -0.7))
        assert (colour.shape, colour.dtype) == ((*size, 3), np.uint8)
        assert colour.max() > 20


def test_noise_has_unit_deviation() -> None:
    noise = smooth_noise(np.random.default_rng(0), 200, 300, 12, 4)
    assert abs(noise.mean()) < 0.2
    assert 0.7 < noise.std() < 1.3


def test_parts_are_laid_over_each_other_by_value() -> None:
    rng = np.random.default_rng(0)
    canvas = Canvas(rng, 40, 40, (0.0, -1.0))
    whole = np.full((40, 40), 128, np.uint8)
    canvas.add(whole, random_material(rng))
    assert (canvas.alpha == 128).all()
    canvas.add(whole, random_material(rng), opacity=0.5)
    # 64 over 128: 64 + 128 * (1 - 64 / 255) = 159.9
    assert (canvas.alpha == 160).all()


def test_filled_areas_are_exact() -> None:
    mask = np.zeros((64, 64), np.uint8)
    box = np.array(((10.5, 10.5), (50.5, 10.5), (50.5, 30.5), (10.5, 30.5)))
    fill(mask, box, box * 0.5 + (15.25, 10.25))
    # 40 x 20 less a hole of 20 x 10; OpenCV's anti-aliased rim adds up to 0.75 pixels all round.
    assert 600 < mask.sum() / 255 < 600 + 0.75 * (120 + 60)
    mask[:] = 0
    limb(mask, np.array(((12.0, 32.0), (52.0, 32.0))), (6, 6), bends=False)
    assert mask.sum() / 255 == pytest.approx(40 * 12 + np.pi * 36, rel=0.1)


def test_thin_strands_are_faint() -> None:
    strands = np.linspace((5.0, 5.0), (60.0, 50.0), 9)[None].repeat(3, 0)
    sums = []
    for width in (0.25, 0.5, 1.0):
        mask = np.zeros((64, 64), np.uint8)
        draw_strands(mask, strands, width)
        sums.append(int(mask.sum()))
    assert sums[0] < sums[1] < sums[2]
    before = np.full((64, 64), 200, np.uint8)
    after = before.copy()
    draw_strands(after, strands, 0.3)
    assert (after >= before).all()


def test_paths_pass_through_their_points() -> None:
    points = np.array(((0.0, 0.0), (4.0, 3.0), (9.0, 1.0)))
    assert np.allclose(smooth_path(points, 4)[::4], points)
    assert np.allclose(smooth_path(points, 4, closed=True)[::4], points)


@pytest.mark.parametrize("name", ["foliage", "twigs", "mesh", "tuft", "mane"])
def test_fine_structures_have_gaps(name: str) -> None:
    shares, parts = [], []
    for seed in range(8):
        canvas = Canvas(np.random.default_rng(seed), 192, 192, (0.4, -0.7))
        OBJECTS[name][1](canvas, np.array((96.0, 96.0)), 60.0)
        opaque = (canvas.alpha > 127).astype(np.uint8)
        x, y, width, height = cv2.boundingRect(opaque)
        inside = opaque[y : y + height, x : x + width]
        shares.append(inside.mean())
        closed = cv2.morphologyEx(inside, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
        parts.append((closed > inside).mean())
    # Part of the box around them is covered, and gaps a few pixels wide are a part of it.
    assert 0.05 < np.median(shares) < 0.85
    assert np.median(parts) > 0.04
