"""Prepares a plate for its frame: size, alignment, exposure and the capture check."""

from dataclasses import dataclass, replace
from typing import Literal, get_args

import cv2
import numpy as np

from media.pictures import resize, to_8_bits

from ..prediction import Prediction
from ..predictor import Predictor
from ..quality import Budget
from .align import MIN_SIDE, AlignmentReport, align_plate
from .check import GREY, CaptureReport, check_capture, needs_alignment
from .comparison import check_pictures, reduce_colours
from .exposure import ExposureReport, apply_exposure, estimate_exposure

PreprocessMode = Literal["auto", "none"]

# Tolerance of aspect ratios, for rounding by resizing: 0.5%, or one pixel.
_ASPECT_TOLERANCE = 0.005
_SAMPLES = 200  # along the longer side, to check whether a picture is grey


@dataclass(frozen=True)
class Preprocess:
    """Settings of the preparation of plates."""

    mode: PreprocessMode = "auto"
    """auto checks every pair, and aligns or matches if the check finds a need; none does only what
    `alignment` and `exposure` request."""
    alignment: bool = False
    """Align every plate, if that is safe."""
    exposure: bool = False
    """Match the exposure of every plate, if that is safe."""


def resolve_preprocess(preprocess: PreprocessMode | Preprocess) -> Preprocess:
    """Converts a mode to a `Preprocess`; ValueError for an unknown one."""
    if isinstance(preprocess, Preprocess):
        return preprocess
    if preprocess not in get_args(PreprocessMode):
        raise ValueError(
            f"preprocess must be one of {get_args(PreprocessMode)} or a Preprocess, "
            f"got {preprocess!r}"
        )
    return Preprocess(preprocess)


@dataclass(frozen=True)
class Preparation:
    """A plate prepared for its frame; a report is None if nothing was tried."""

    bgr: np.ndarray
    """(H, W, 3), the plate for the network, of the frame's type."""
    placed: np.ndarray
    """(H, W, 3), the same without the exposure match: aligned, if that was needed."""
    alignment: AlignmentReport | None = None
    exposure: ExposureReport | None = None
    capture: CaptureReport | None = None
    """Findings of the check."""
    notes: tuple[str, ...] = ()
    """Notes for the user."""


def prepare_plate(src: np.ndarray, bgr: np.ndarray, preprocess: Preprocess) -> Preparation:
    """Prepares a plate for its frame.

    Matches exposure first, approximately because the plate may not be aligned yet: alignment
    compares grey levels. Matches it again after alignment.

    Args:
        src: (H, W, 3) uint8 or uint16, RGB, the frame.
        bgr: (h, w, 3) uint8 or uint16, RGB, the captured plate, of the same aspect.
        preprocess: settings of the preparation.

    Raises:
        ValueError: when the aspect ratios differ, or the pictures have another shape or type.
    """
    bgr, notes = fit_plate(src=src, bgr=bgr)
    check_pictures(src, bgr)
    bgr, compared = match_grey(src=src, bgr=bgr)
    notes += compared
    automatic = preprocess.mode == "auto" and min(src.shape[:2]) >= MIN_SIDE
    frame, plate = reduce_colours(src), reduce_colours(bgr)
    matches = automatic or preprocess.exposure
    exposure = estimate_exposure(frame, plate) if matches else None
    placed, alignment, capture = bgr, None, None
    if preprocess.alignment or (
        automatic and needs_alignment(frame, apply_exposure(plate, exposure))
    ):
        placed, alignment = align_plate(src, bgr, apply_exposure(bgr, exposure))
        if alignment.applied:
            plate = reduce_colours(placed)
            exposure = estimate_exposure(frame, plate) if matches else None
    matched = _match(src, placed, alignment, exposure)
    if preprocess.alignment and alignment and not alignment.applied:
        notes += (f"plate not aligned: {alignment.reason}",)
    if preprocess.exposure and exposure and not exposure.applied:
        notes += (f"plate's exposure not matched: {exposure.reason}",)
    if automatic:
        used = plate if matched is placed else reduce_colours(matched)
        capture = check_capture(frame, used, alignment, exposure)
        notes += capture.notes
    return Preparation(matched, placed, alignment, exposure, capture, notes)


def refine_exposure(src: np.ndarray, preparation: Preparation, pha: np.ndarray) -> Preparation:
    """Matches a plate's exposure again on the background of a first matte, `pha`.

    Returns `preparation` if its exposure was not changed, or the matte has too little background.
    """
    if not (preparation.exposure and preparation.exposure.applied):
        return preparation
    placed = preparation.placed
    exposure = estimate_exposure(reduce_colours(src), reduce_colours(placed), pha)
    if not exposure.applied:
        return preparation
    matched = _match(src, placed, preparation.alignment, exposure)
    return replace(preparation, bgr=matched, exposure=exposure)


def predict_prepared(
    predictor: Predictor, src: np.ndarray, preparation: Preparation, budget: Budget
) -> tuple[Preparation, Prediction]:
    """Predicts a matte. If exposure was matched, first predicts a coarse matte to match it again.

    Returns the preparation that was used, and the matte.
    """
    if preparation.exposure and preparation.exposure.applied:
        coarse = Budget(budget.backbone_scale, refine_sample_pixels=0)
        first = predictor.predict(src, preparation.bgr, coarse)
        preparation = refine_exposure(src, preparation, first.pha)
    return preparation, predictor.predict(src, preparation.bgr, budget)


def fit_plate(*, src: np.ndarray, bgr: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Converts a plate (h, w, 3), uint8 or uint16, to the size and type of its frame.

    Returns it with notes on changes. Raises ValueError when the aspect ratios differ.
    """
    notes: tuple[str, ...] = ()
    if bgr.shape != src.shape:
        height, width = src.shape[:2]
        if not _has_aspect(bgr.shape[0], bgr.shape[1], height, width):
            sizes = f"the plate is {bgr.shape[1]} x {bgr.shape[0]} pixels, the frame {width} x "
            if _has_aspect(bgr.shape[1], bgr.shape[0], height, width):
                raise ValueError(
                    f"plate and frame have different orientations: {sizes}{height}. Rotate one by "
                    "90 degrees; a program may have dropped the orientation stored by the camera"
                )
            raise ValueError(
                f"plate and frame have different aspect ratios: {sizes}{height}. Capture both with "
                "the same camera and settings, or crop one to match"
            )
        bgr, notes = resize(bgr, height, width), ("plate resized to the frame",)
    if (bgr.dtype, src.dtype) == (np.uint8, np.uint16):
        bgr = bgr.astype(np.uint16) * 257
    elif (bgr.dtype, src.dtype) == (np.uint16, np.uint8):
        bgr = to_8_bits(bgr)
    return bgr, notes


def _has_aspect(plate_height: int, plate_width: int, height: int, width: int) -> bool:
    off = abs(plate_height * width / plate_width - height)
    return off <= max(_ASPECT_TOLERANCE * height, 1)


def match_grey(*, src: np.ndarray, bgr: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Converts a colour plate to grey if its frame is grey; both (H, W, 3), uint8 or uint16.

    Returns it, or the same object if nothing changes, with notes for the user.
    """
    if is_grey(src) and _is_coloured(bgr):
        grey = cv2.cvtColor(np.ascontiguousarray(bgr), cv2.COLOR_RGB2GRAY)
        return cv2.merge([grey] * 3), ("the frame is grey: it is compared with the plate in grey",)
    if is_grey(bgr) and _is_coloured(src):
        return bgr, (
            "the plate is grey and the frame in colour, so all coloured areas differ: capture the "
            "plate in colour, or convert both to grey",
        )
    return bgr, ()


def is_grey(picture: np.ndarray) -> bool:
    """Whether (H, W, 3) uint8 or uint16 has no colour beyond JPEG artefacts."""
    return bool((_sample_colour(picture) <= GREY).all())


def _is_coloured(picture: np.ndarray) -> bool:
    """Whether at least 1% of a picture is in colour."""
    return float(np.mean(_sample_colour(picture) > 3 * GREY)) >= 0.01


def _sample_colour(picture: np.ndarray) -> np.ndarray:
    """Differences of the channels, in levels of 255, at about 40,000 pixels; takes at most 1 ms."""
    step = max(1, max(picture.shape) // _SAMPLES)
    some = np.moveaxis(picture[::step, ::step], 2, 0).astype(np.float32, order="C")
    return np.ptp(some, axis=0) * np.float32(255 / np.iinfo(picture.dtype).max)


def keep_filled(src: np.ndarray, placed: np.ndarray, matched: np.ndarray) -> np.ndarray:
    """Returns the matched plate, unchanged where alignment has filled in the frame's pixels."""
    if matched is placed:
        return placed
    # A covered pixel that equals the frame's is background without a match.
    return np.where((placed == src).all(axis=2, keepdims=True), src, matched)


def _match(
    src: np.ndarray,
    placed: np.ndarray,
    alignment: AlignmentReport | None,
    exposure: ExposureReport | None,
) -> np.ndarray:
    matched = apply_exposure(placed, exposure)
    return keep_filled(src, placed, matched) if alignment and alignment.applied else matched
