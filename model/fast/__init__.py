"""Faster inference with the same results, used where a program asks for it.

`accelerate` chooses the implementation by the network's device; add other devices there.
"""

from .network import FastMatting, Prediction, accelerate

__all__ = ["FastMatting", "Prediction", "accelerate"]
