"""Makes output pictures from mattes."""
