"""Shared by all scripts: settings, devices, interrupts, and files written completely."""
