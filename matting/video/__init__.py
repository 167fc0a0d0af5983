"""Video: frames in and out, plates and new backgrounds over time."""
