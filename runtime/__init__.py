"""What every script stands on: devices, interrupts, files that appear whole."""
