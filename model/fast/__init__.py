"""The networks' predictions computed faster: the same results, asked for by name.

`accelerate` chooses by the network's device; a way for another kind of device goes there.
"""

from .network import FastMatting, Prediction, accelerate

__all__ = ["FastMatting", "Prediction", "accelerate"]
