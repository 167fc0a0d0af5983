"""Matte a photograph with an exported network: ONNX Runtime and NumPy, nothing else.

    python export.py --format onnx --size dynamic --output-dir exported
    pip install numpy onnxruntime
    python examples/onnx_numpy.py exported/dynamic-blocks-float32.onnx frame.ppm plate.ppm alpha.pgm

Pictures are binary PPM; `ffmpeg -i frame.jpg frame.ppm` makes one. Use your own decoder instead.
"""

import sys
from pathlib import Path

import numpy as np
import onnxruntime


def read_ppm(path: str) -> np.ndarray:
    """Reads (H, W, 3) uint8 RGB."""
    with Path(path).open("rb") as file:
        kind, size, most = (file.readline().split() for _ in range(3))
        if kind != [b"P6"] or most != [b"255"]:
            sys.exit(f"{path} is not a binary PPM of 8 bits without comments")
        width, height = map(int, size)
        return np.fromfile(file, np.uint8, height * width * 3).reshape(height, width, 3)


def to_input(picture: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 to (1, 3, H', W') float32 in [0, 1], padded to multiples of 4."""
    bottom, right = (-side % 4 for side in picture.shape[:2])
    padded = np.pad(picture, ((0, bottom), (0, right), (0, 0)), mode="edge")
    return padded.transpose(2, 0, 1)[None].astype(np.float32) / 255


def main() -> None:
    """Reads frame and plate, and writes alpha."""
    if len(sys.argv) != 5:
        sys.exit("usage: onnx_numpy.py NETWORK.onnx FRAME.ppm PLATE.ppm ALPHA.pgm")
    network, frame, plate, output = sys.argv[1:]
    src, bgr = read_ppm(frame), read_ppm(plate)
    session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
    # The network's other output, "fgr", is the foreground: over a new background B the picture is
    # fgr * pha + B * (1 - pha).
    (pha,) = session.run(["pha"], {"src": to_input(src), "bgr": to_input(bgr)})
    height, width = src.shape[:2]
    alpha = np.rint(pha[0, 0, :height, :width] * 255).astype(np.uint8)
    Path(output).write_bytes(b"P5\n%d %d\n255\n" % (width, height) + alpha.tobytes())


if __name__ == "__main__":
    main()
