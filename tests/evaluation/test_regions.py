"""The unknown region: from a trimap, and from the true alpha."""

import numpy as np

from evaluation.measure import unknown_of_alpha, unknown_of_trimap


def test_trimap_leaves_open_what_is_grey() -> None:
    trimap = np.array([[0, 3, 100, 127, 128, 150, 252, 255]]) / 255
    assert unknown_of_trimap(trimap).tolist() == [[False, False] + [True] * 4 + [False, False]]


def test_radius_reaches_into_both_sides_of_an_edge() -> None:
    alpha = np.zeros((1, 20))
    alpha[:, 10:] = 1
    assert np.flatnonzero(unknown_of_alpha(alpha, 3)).tolist() == [7, 8, 9, 10, 11, 12]
    alpha[:, 10] = 0.5
    # Background is 0 and foreground 1; soft pixels belong to the other side of either.
    assert np.flatnonzero(unknown_of_alpha(alpha, 3)).tolist() == list(range(7, 14))
    assert np.flatnonzero(unknown_of_alpha(alpha, 0)).tolist() == [10]


def test_the_radius_is_that_of_a_disc() -> None:
    alpha = np.zeros((31, 31))
    alpha[15, 15] = 0.5
    y, x = np.mgrid[-15:16, -15:16]
    for radius in (1, 5, 10):
        assert np.array_equal(unknown_of_alpha(alpha, radius), x**2 + y**2 <= radius**2)


def test_nothing_is_unknown_without_an_edge() -> None:
    for alpha in (np.zeros((5, 5)), np.ones((5, 5))):
        assert not unknown_of_alpha(alpha, 3).any()
    assert unknown_of_alpha(np.full((5, 5), 0.5), 0).all()
