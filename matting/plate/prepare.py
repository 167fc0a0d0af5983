"""Making a plate fit its frame before the network: alignment, exposure, and the capture check.

Pure functions on pictures, for photographs and for the frames of a video.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ..prediction import Prediction
from ..predictor import Predictor
from ..quality import Budget
from .align import MIN_SIDE, AlignmentReport, align_plate
from .background import reduce_colours
from .check import CaptureReport, check_capture, measure_motion
from .exposure import ExposureReport, apply_exposure, estimate_exposure
from .registration import check_pictures

PreprocessMode = Literal["auto", "none"]


@dataclass(frozen=True)
class Preprocess:
    """What is to be done to plates.

    Attributes:
        mode: auto checks every pair and aligns and matches where the check finds the need; none
            does only what the next two ask for.
        alignment: align every plate, if that is safe.
        exposure: match the exposure of every plate, if that is safe.
    """

    mode: PreprocessMode = "auto"
    alignment: bool = False
    exposure: bool = False


@dataclass(frozen=True)
class Preparation:
    """A plate that was made to fit its frame.

    Attributes:
        bgr: (H, W, 3), the plate for the network, of the frame's type.
        placed: (H, W, 3), the same at its own exposure: aligned, if that was needed.
        alignment: its report, or None where alignment was not tried.
        exposure: its report, or None where exposure was not looked at.
        capture: what the check found, or None where it was not asked for.
        notes: what a user should know, in words.
    """

    bgr: np.ndarray
    placed: np.ndarray
    alignment: AlignmentReport | None = None
    exposure: ExposureReport | None = None
    capture: CaptureReport | None = None
    notes: tuple[str, ...] = ()


def prepare_plate(src: np.ndarray, bgr: np.ndarray, preprocess: Preprocess) -> Preparation:
    """Makes a plate fit its frame.

    Exposure is matched first, as far as it can be told from a plate that may lie beside the frame:
    alignment compares grey levels. Once aligned, it is matched anew.

    Args:
        src: (H, W, 3) uint8 or uint16, RGB, the frame.
        bgr: (H, W, 3) of the same type, the captured plate.
        preprocess: what is to be done.

    Returns:
        See `Preparation`.

    Raises:
        ValueError: when the pictures are not alike, or not such.
    """
    check_pictures(src, bgr)
    small = min(src.shape[:2]) < MIN_SIDE
    automatic = preprocess.mode == "auto" and not small
    frame, plate = reduce_colours(src), reduce_colours(bgr)
    exposure = None
    if automatic or preprocess.exposure:
        exposure = estimate_exposure(frame, plate)
    motion = measure_motion(frame, _match(plate, exposure)) if automatic else None
    placed, alignment = bgr, None
    if preprocess.alignment or (motion and motion.needs_alignment):
        guide = apply_exposure(bgr, exposure) if exposure else bgr
        placed, alignment = align_plate(src, bgr, guide)
        if alignment.applied:
            plate = reduce_colours(placed)
            exposure = estimate_exposure(frame, plate) if exposure else None
    matched = _expose(src, placed, alignment, exposure)
    capture = None
    if automatic:
        used = plate if matched is placed else reduce_colours(matched)
        capture = check_capture(frame, used, alignment, exposure)
    notes = _tell(preprocess, alignment, exposure, capture)
    return Preparation(matched, placed, alignment, exposure, capture, notes)


def refine_exposure(src: np.ndarray, preparation: Preparation, pha: np.ndarray) -> Preparation:
    """Matches the exposure of a plate anew where a first matte shows the background.

    Args:
        src: (H, W, 3), the frame.
        preparation: of `prepare_plate`.
        pha: (H, W) float in [0, 1], a matte that was predicted from it.

    Returns:
        The better preparation; the same one where its exposure was not changed, or the matte leaves
        too little to see.
    """
    if not (preparation.exposure and preparation.exposure.applied):
        return preparation
    placed, alignment = preparation.placed, preparation.alignment
    exposure = estimate_exposure(reduce_colours(src), reduce_colours(placed), pha)
    if not exposure.applied:
        return preparation
    matched = _expose(src, placed, alignment, exposure)
    return replace(preparation, bgr=matched, exposure=exposure)


def predict_prepared(
    predictor: Predictor, src: np.ndarray, preparation: Preparation, budget: Budget
) -> tuple[Preparation, Prediction]:
    """Predicts a matte; where exposure was matched, first a coarse one to match it anew by.

    Args:
        predictor: of the network.
        src: (H, W, 3) uint8 or uint16, RGB, the frame.
        preparation: of `prepare_plate`.
        budget: work to spend on the matte itself.

    Returns:
        The preparation that was used, and the matte.
    """
    if preparation.exposure and preparation.exposure.applied:
        coarse = Budget(budget.backbone_scale, refine_sample_pixels=0)
        first = predictor.predict(src, preparation.bgr, coarse)
        preparation = refine_exposure(src, preparation, first.pha)
    return preparation, predictor.predict(src, preparation.bgr, budget)


def _expose(
    src: np.ndarray,
    placed: np.ndarray,
    alignment: AlignmentReport | None,
    exposure: ExposureReport | None,
) -> np.ndarray:
    """Matches a plate, but not the frame's own pixels where alignment has filled it with these."""
    if exposure is None or not exposure.applied:
        return placed
    matched = apply_exposure(placed, exposure)
    if alignment is None or not alignment.applied:
        return matched
    # A covered pixel that equals the frame's is background as it is.
    return np.where((placed == src).all(axis=2, keepdims=True), src, matched)


def _match(plate: np.ndarray, exposure: ExposureReport | None) -> np.ndarray:
    """`apply_exposure` for a reduced plate, (h, w, 3) float32 in grey levels."""
    if exposure is None or not exposure.applied:
        return plate
    gain, bias = (np.asarray(values, np.float32) for values in (exposure.gain, exposure.bias))
    return np.clip(plate * gain + bias, 0, 255)


def _tell(
    preprocess: Preprocess,
    alignment: AlignmentReport | None,
    exposure: ExposureReport | None,
    capture: CaptureReport | None,
) -> tuple[str, ...]:
    """What was asked for and not done; then what the check found."""
    notes = []
    if preprocess.alignment and alignment and not alignment.applied:
        notes.append(f"plate not aligned: {alignment.reason}")
    if preprocess.exposure and exposure and not exposure.applied:
        notes.append(f"plate's exposure not matched: {exposure.reason}")
    return (*notes, *(capture.notes if capture else ()))
