"""What the inference scripts share: from picture files to mattes and back to files."""
