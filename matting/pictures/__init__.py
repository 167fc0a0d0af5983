"""From mattes to the pictures that are written."""
