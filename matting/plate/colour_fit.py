"""Fit gain and bias of each channel between two sets of colours, most of which may not fit.

Source: ours; iteratively reweighted least squares from several starts.
"""

import numpy as np

RATIO_RANGE, RATIO_BINS = 1.1, 110  # natural logarithm of frame over plate, either way
MAX_STARTS = 2
FIT_STEPS = 6
FIRST_SCALE, LAST_SCALE = 16.0, 3.0  # grey levels: of the weights, narrowed step by step
BIAS_WEIGHT = 0.005  # share of the pixels that vote for no bias: a plain wall can't tell
TIE = 0.9  # of the best score; among fits that reach it, the one that changes least wins


def fit_colours(
    src: np.ndarray, bgr: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Fits what brings the colours of a plate to those of a frame.

    Args:
        src: (N, 3) float32, grey levels (0-255) above 0, RGB, of the frame.
        bgr: (N, 3), of the plate at the same places.
        weight: (N,) float32 above 0, how surely both show the same.

    Returns:
        Gain (3,), and bias (3,) in grey levels, which is added after it. Of two fits that are about
        as good, the one that changes less.
    """
    fits = []
    for gain in _find_starts(src, bgr, weight):
        fit = _reweight(src, bgr, weight, gain)
        error = _measure_error(src, bgr, *fit)
        score = float((weight / (1 + error / LAST_SCALE**2)).sum())
        fits.append((score, float(np.abs(bgr * (fit[0] - 1) + fit[1]).mean()), fit))
    best = max(score for score, _, _ in fits)
    good = [(change, fit) for score, change, fit in fits if score >= TIE * best]
    return min(good, key=lambda one: one[0])[1]


def _measure_error(
    src: np.ndarray, bgr: np.ndarray, gain: np.ndarray, bias: np.ndarray
) -> np.ndarray:
    """Squared grey levels, mean over the channels; (N,)."""
    error = src - (bgr * gain.astype(np.float32) + bias.astype(np.float32))
    return np.einsum("nc,nc->n", error, error) / 3


def _find_starts(src: np.ndarray, bgr: np.ndarray, weight: np.ndarray) -> list[np.ndarray]:
    """Gains (3,) to begin with: none, and the peaks of the histogram of frame over plate."""
    ratio = np.log(src.sum(axis=1) / bgr.sum(axis=1))
    counts, edges = np.histogram(ratio, RATIO_BINS, (-RATIO_RANGE, RATIO_RANGE), weights=weight)
    smooth = np.convolve(counts, [0.25, 0.5, 1, 0.5, 0.25], mode="same")
    peaks = np.flatnonzero(
        (smooth[1:-1] >= smooth[:-2]) & (smooth[1:-1] > smooth[2:]) & (smooth[1:-1] > 0)
    )
    peaks = peaks[np.argsort(-smooth[peaks + 1], kind="stable")][:MAX_STARTS] + 1
    starts = [np.ones(3)]
    for centre in (edges[peaks] + edges[peaks + 1]) / 2:
        near = (np.abs(ratio - centre) < 0.05) & (weight > 0)
        if near.any():
            starts.append(np.median(src[near] / bgr[near], axis=0))
    return starts


def _reweight(
    src: np.ndarray, bgr: np.ndarray, weight: np.ndarray, gain: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Iteratively reweighted least squares with Geman-McClure weights that narrow."""
    gain, bias = gain.astype(np.float64), np.zeros(3)
    vote = BIAS_WEIGHT * float(weight.sum())
    for scale in np.geomspace(FIRST_SCALE, LAST_SCALE, FIT_STEPS):
        error = _measure_error(src, bgr, gain, bias)
        trust = (weight / np.square(1 + error / scale**2)).astype(np.float64)
        means, squares, products, wanted = (trust @ part for part in (bgr, bgr**2, bgr * src, src))
        for c in range(3):
            system = np.array([[squares[c], means[c]], [means[c], trust.sum() + vote]])
            right = np.array([products[c], wanted[c]])
            gain[c], bias[c] = np.linalg.lstsq(system, right, rcond=None)[0]
    return gain, bias
