"""A live camera: its newest picture is matted, shown, recorded and sent on."""
