"""A live camera: captured newest first, matted over its own plate, shown, recorded and sent on."""
