"""Code shared by both training scripts."""
