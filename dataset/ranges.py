"""Checks of settings that are numbers or ranges of numbers."""


def check_fraction(name: str, value: float) -> None:
    """Refuses what is no probability and no fraction of a whole.

    Args:
        name: of the setting, for the message.
        value: the setting.

    Raises:
        ValueError: outside 0 to 1.
    """
    check_value(name, value, 0, 1, "a fraction")


def check_value(name: str, value: float, low: float, high: float, unit: str) -> None:
    """Refuses a number outside its bounds.

    Args:
        name: of the setting, for the message.
        value: the setting.
        low: the smallest that may be.
        high: the largest that may be.
        unit: of the setting, for the message.

    Raises:
        ValueError: outside the bounds, or not a number.
    """
    if not low <= value <= high:  # false for NaN as well
        raise ValueError(f"{name} must be from {low:g} to {high:g} ({unit}), got {value}")


def check_range(name: str, value: tuple[float, float], low: float, high: float) -> None:
    """Refuses a range that is the wrong way round or outside its bounds.

    Args:
        name: of the setting, for the message.
        value: smallest and largest.
        low: the smallest that may be.
        high: the largest that may be.

    Raises:
        ValueError: outside the bounds, or the smallest above the largest.
    """
    if not low <= value[0] <= value[1] <= high:
        raise ValueError(
            f"{name} must be a smallest and a largest value from {low:g} to {high:g}, got {value}"
        )
