"""Evaluates folders of mattes with the standard metrics; used by `evaluate.py`."""
