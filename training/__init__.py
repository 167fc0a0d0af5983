"""Shared by both training scripts."""
