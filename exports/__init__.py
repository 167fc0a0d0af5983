"""Exports: files of a network that other programs run without this one."""
