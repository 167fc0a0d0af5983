"""One thread for pymatting: importing it makes PyTorch use as many, see tests/conftest.py."""

import os

os.environ.setdefault("NUMBA_NUM_THREADS", "1")
