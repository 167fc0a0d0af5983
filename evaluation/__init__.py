"""What `evaluate.py` stands on: from folders of mattes to the field's metrics."""
