"""Faster inference with the same results, used where a program asks for it.

`accelerate` chooses the implementation by the network's device; add other devices there.
"""

from .memory import Memory
from .network import FastMatting, Prediction, accelerate

__all__ = ["FastMatting", "Memory", "Prediction", "accelerate"]
