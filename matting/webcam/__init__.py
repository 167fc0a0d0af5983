"""A live camera: mattes, displays, records and sends its newest picture."""
