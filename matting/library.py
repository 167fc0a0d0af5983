"""The library: mattes pictures and videos, from reading to compositing."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np

from media.pictures import Picture

from .loading import load_predictor
from .pictures.compose import BitDepth, OutputType, render
from .pictures.given import PictureLike, check_target, make_target, open_picture
from .pictures.target import Target
from .plate.prepare import (
    Preparation,
    Preprocess,
    PreprocessMode,
    predict_prepared,
    prepare_plate,
    resolve_preprocess,
)
from .prediction import Prediction
from .predictor import Predictor
from .quality import Budget, Quality, is_number
from .settings import DEFAULT_CHECKPOINT, ComputeSettings, ModelSettings
from .video.smoothing import MAX_SMOOTHING
from .video.stream import matte_frames


@dataclass(frozen=True)
class Matte:
    """The matte of one frame of H x W pixels.

    Attributes:
        prediction: alpha, foreground, predicted error and refined cells.
        preparation: the plate as it was used, and the reports about it.
        budget: scale and pixels that were used.
        notes: faults of the capture and changes on reading, as sentences.
        icc_profile: colour profile of foreground, plate and composites; None means sRGB.
    """

    prediction: Prediction
    preparation: Preparation
    budget: Budget
    notes: tuple[str, ...] = ()
    icc_profile: bytes | None = None

    @property
    def alpha(self) -> np.ndarray:
        """(H, W) float32 in [0, 1]."""
        return self.prediction.pha

    @property
    def foreground(self) -> np.ndarray:
        """(H, W, 3) float32, RGB in [0, 1], straight; meaningful where alpha is above 0."""
        return self.prediction.fgr

    def composite(
        self, target: PictureLike | tuple[int, int, int] | None = None, bit_depth: BitDepth = 8
    ) -> np.ndarray:
        """Puts the foreground over a new background.

        Args:
            target: a colour (`green`, `#00b140`, or red, green and blue from 0 to 255), a picture
                that is resized to cover the frame, `blur` for the blurred plate, or None for
                transparency.
            bit_depth: bits per channel of the result.

        Returns:
            (H, W, 3) RGB, or for None (H, W, 4) RGBA with straight alpha; uint8 or uint16.

        Raises:
            ValueError: when the target is none of these or can't be read.
        """
        return self.render("com", self.render_target(target), bit_depth)

    def render(
        self, kind: OutputType, target: np.ndarray | None = None, bit_depth: BitDepth = 8
    ) -> np.ndarray:
        """Makes the picture of an output type other than `sheet`; see `pictures.compose.render`.

        `target` is a result of `render_target`; ValueError for others.
        """
        check_target(target, self.foreground.shape, bit_depth)
        return render(kind, self.prediction, target, bit_depth)

    def render_target(
        self, target: PictureLike | tuple[int, int, int] | Target | None
    ) -> np.ndarray | None:
        """Makes the new background of the frame: (H, W, 3) float32 in [0, 1], or None.

        Its colours are converted to the frame's profile; see `composite`.
        """
        return make_target(target, self.preparation.bgr, self.icc_profile)


class Matting:
    """Mattes pictures and videos; may be called by several threads.

    Model and quality are defaults that a call may override.

    Example:
        >>> matting = Matting.load()
        >>> matte = matting("demo/src/lawn.jpg", "demo/bgr/lawn.jpg")
        >>> matte.alpha.shape, matte.notes
        ((480, 640), ())
    """

    def __init__(
        self, predictor: Predictor, model: ModelSettings | None = None, quality: Quality = "best"
    ) -> None:
        self.predictor, self.quality = predictor, quality
        if quality not in get_args(Quality):
            raise ValueError(f"quality must be one of {get_args(Quality)}, got {quality!r}")
        self._model = ModelSettings() if model is None else model

    @classmethod
    def load(
        cls,
        checkpoint: str | Path = DEFAULT_CHECKPOINT,
        *,
        quality: Quality = "best",
        **compute: Any,
    ) -> "Matting":
        """Loads a network; without arguments the shipped weights, on the best device.

        Args:
            checkpoint: weights, `.safetensors` or a `.pth` state dict; or a folder written by
                `save_pretrained`, of which the weights are taken.
            quality: `auto`, `best`, `fast`, `hd` or `4k`, see `resolve_budget`.
            compute: `device` (`auto`, `cpu`, `cuda`, `mps`), `precision` (`float32`, `float16`,
                `bfloat16`; by default the quality's), `backend` (`pytorch`, `onnxruntime`,
                `openvino`) and `num_workers` (0 computes one picture at a time); see
                `ComputeSettings`.

        Raises:
            ValueError: when the device is not available, the weights can't be used, or the backend
                does not support network, device or precision.
        """
        if not isinstance(checkpoint, str | Path) or not str(checkpoint):
            raise ValueError(f"checkpoint must be the path of weights, got {checkpoint!r}")
        model = ModelSettings(checkpoint=Path(checkpoint))
        return cls.from_settings(model, ComputeSettings(**compute), quality)

    @classmethod
    def from_settings(
        cls, model: ModelSettings, compute: ComputeSettings, quality: Quality = "best"
    ) -> "Matting":
        """Loads a network from the settings of a script; errors as `load`."""
        return cls(load_predictor(model, compute), model, quality)

    def __call__(
        self,
        src: PictureLike,
        bgr: PictureLike | Preparation,
        *,
        preprocess: PreprocessMode | Preprocess = "auto",
        quality: Quality | None = None,
        backbone_scale: float | None = None,
        refine_sample_pixels: int | None = None,
        corrects_alpha: bool | None = None,
    ) -> Matte:
        """Mattes a frame.

        Args:
            src: the captured frame.
            bgr: its captured plate, the scene without the subject, of the same aspect ratio; or
                a result of `prepare`.
            preprocess: `auto` checks the pair, and aligns the plate or matches its exposure where
                needed; `none` uses it unchanged; or a `Preprocess`.
            quality: None means the object's default.
            backbone_scale: size of the coarse input as a fraction of the frame's, in (0, 1/2]. For
                this and the next two, None means the value of the quality.
            refine_sample_pixels: pixels to refine.
            corrects_alpha: whether alpha is corrected by the compositing equation.

        Returns:
            See `Matte`.

        Raises:
            ValueError: when a picture can't be read, frame and plate do not fit, or an argument is
                out of range.
        """
        frame = src if isinstance(src, Picture) else open_picture(src)
        prepared = bgr if isinstance(bgr, Preparation) else self.prepare(frame, bgr, preprocess)
        budget = self.resolve_budget(
            *frame.pixels.shape[:2],
            quality=quality,
            backbone_scale=backbone_scale,
            refine_sample_pixels=refine_sample_pixels,
            corrects_alpha=corrects_alpha,
        )
        preparation, prediction = predict_prepared(self.predictor, frame.pixels, prepared, budget)
        notes = frame.notes + preparation.notes
        return Matte(prediction, preparation, budget, notes, frame.icc_profile)

    def video(
        self,
        src: str | Path | Iterable[PictureLike],
        bgr: PictureLike,
        *,
        preprocess: PreprocessMode | Preprocess = "auto",
        smoothing: float = 0.0,
        keep_attached: bool = False,
        quality: Quality = "auto",
        **choices: Any,
    ) -> Iterator[Matte]:
        """Mattes a clip frame by frame, some frames ahead; same results as `inference_video.py`.

        Args:
            src: a video file, an animated picture, a folder of numbered pictures, or frames of one
                size, each as in `__call__`. A file's frames get square pixels and are upright.
            bgr: the captured plate of all frames, of the same aspect ratio. Pictures with a colour
                profile are converted to sRGB.
            preprocess: `auto` checks the first frames and some later ones, and aligns the plate or
                matches its exposure where needed; `none` uses it unchanged; a `Preprocess` applies
                to every frame.
            smoothing: strength of smoothing alpha over time where the picture is still, in
                [0, 0.95]; 0 means none.
            keep_attached: whether to empty islands of alpha that never touch a subject.
            quality: see `__call__`; the default for frames is faster than for photographs.
            choices: `backbone_scale`, `refine_sample_pixels` and `corrects_alpha` of `__call__`.

        Returns:
            The matte of each frame, in order, with the notes that were found at this frame.

        Raises:
            ValueError: at the call, when an argument is invalid or can't be read, or the plate does
                not fit a clip; later, at a frame that can't be read or has another size.
        """
        preprocess = resolve_preprocess(preprocess)
        if not is_number(smoothing) or not 0 <= smoothing <= MAX_SMOOTHING:
            raise ValueError(f"smoothing must lie in [0, {MAX_SMOOTHING}], got {smoothing!r}")
        if not isinstance(keep_attached, bool):
            raise ValueError(f"keep_attached must be True or False, got {keep_attached!r}")
        plate = open_picture(bgr).in_profile(None).pixels
        if not isinstance(src, str | Path):
            # Copies, because frames are read ahead and some readers reuse one array.
            src = (np.array(open_picture(frame).in_profile(None).pixels) for frame in src)
        budget = partial(self.resolve_budget, quality=quality, **choices)
        self.resolve_budget(1080, 1920, quality=quality, **choices)  # checks the choices at once
        mattes = matte_frames(
            src, plate, self.predictor, budget, preprocess, smoothing, keep_attached
        )
        return (Matte(m.prediction, m.preparation, m.budget, m.notes) for m in mattes)

    @staticmethod
    def prepare(
        src: PictureLike, bgr: PictureLike, preprocess: PreprocessMode | Preprocess = "auto"
    ) -> Preparation:
        """Prepares a plate for its frame, as a call does before it predicts; see `__call__`."""
        frame, plate = (
            picture if isinstance(picture, Picture) else open_picture(picture)
            for picture in (src, bgr)
        )
        fitted = plate.in_profile(frame.icc_profile)
        prepared = prepare_plate(frame.pixels, fitted.pixels, resolve_preprocess(preprocess))
        if fitted.pixels is plate.pixels:
            return prepared
        note = "plate converted to the colour profile of the frame"
        return replace(prepared, notes=(note, *prepared.notes))

    def resolve_budget(self, height: int, width: int, **choices: Any) -> Budget:
        """Chooses scale and pixels for a picture; arguments of a call override the defaults."""
        named = {name: value for name, value in choices.items() if value is not None}
        given = {"quality": self.quality, **self._model.work}
        return self.predictor.choose_budget(height, width, **(given | named))
