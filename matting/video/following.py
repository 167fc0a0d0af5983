"""Following a quantity that is measured anew in every frame, without trembling."""

import numpy as np

# Frames that the last measurement serves for where none is made, as when a subject fills the
# picture: half a second.
HELD_FRAMES = 15


def follow(last: np.ndarray, found: np.ndarray, changed: float, tremor: float) -> np.ndarray:
    """Follows at once what changed by more than the measurement's error, slowly what changed less.

    Args:
        last: what was followed so far.
        found: the new measurement, alike.
        changed: how far the two are apart.
        tremor: how far they are apart by the measurement's error alone, in the same unit.

    Returns:
        Between the two: at half the way where they are apart by the error.

    Source: ours, because a plate that trembles makes the edges of the matte tremble.
    """
    result: np.ndarray = last + changed**2 / (changed**2 + tremor**2) * (found - last)
    return result
