"""Conditions of the robustness benchmark: one fault of capture each, at several strengths."""

from dataclasses import dataclass, field

from benchmarks.composites import CAPTURE, Capture


@dataclass(frozen=True)
class Condition:
    """One fault of capture, at one strength.

    Attributes:
        name: of the fault; one word, for the command line.
        strength: description of the strength.
        capture: disturbances, as `dataset.augmentation.make_disturbance` takes them.
        likeness: how similar the subject's colours are made to the background's, from 0 to 1.
    """

    name: str
    strength: str = ""
    capture: Capture = field(default_factory=dict)
    likeness: float = 0.0


def _shadow(strength: float) -> Capture:
    return {"shadow": {**CAPTURE["shadow"], "strength": strength}}


# Disturbances of the plate, unless the strength names the frame or both.
CONDITIONS = (
    Condition("none"),
    Condition("capture", "noise, JPEG 88, shadow 25%, shift 0.2%, 4% brighter", CAPTURE),
    *(
        Condition("exposure", f"{stops:+g} stops", {"exposure": {"stops": stops}})
        for stops in (-1, -0.5, -0.25, 0.25, 0.5, 1)
    ),
    *(
        Condition(
            "white-balance",
            f"red {tint:+.0%}, blue {-tint:+.0%}",
            {"white_balance": {"red": 1 + tint, "blue": 1 - tint}},
        )
        for tint in (-0.1, -0.05, 0.05, 0.1)
    ),
    *(
        Condition(
            "shift",
            f"{part:.1%} of width and height",
            {"plate_position": {"shift_x": part, "shift_y": part}},
        )
        for part in (0.002, 0.01, 0.02)
    ),
    *(
        Condition("rotation", f"{angle:g} degrees", {"plate_position": {"rotation": angle}})
        for angle in (0.25, 0.5, 1)
    ),
    *(Condition("shadow", f"{part:.0%} dark, of the frame", _shadow(part)) for part in (0.15, 0.3)),
    *(
        Condition(
            "noise", f"sigma {sigma:g} of white, of both", {"noise": {"src": sigma, "bgr": sigma}}
        )
        for sigma in (0.01, 0.03)
    ),
    *(Condition("jpeg", f"quality {q}, of both", {"jpeg": {"src": q, "bgr": q}}) for q in (75, 50)),
    *(
        Condition("defocus", f"disc of radius {radius} px", {"defocus": {"radius": radius}})
        for radius in (1, 2, 4)
    ),
    *(
        Condition("likeness", f"subject's colours {part:.0%} the background's", likeness=part)
        for part in (0.5, 1)
    ),
)


def choose_conditions(names: list[str] | None) -> list[Condition]:
    """Chooses conditions by name.

    Args:
        names: NAME for all strengths of a condition, or NAME:NUMBER for one of them, counted from
            1; None for all.

    Returns:
        The conditions, in the table's order.

    Raises:
        ValueError: when a name is unknown.
    """
    if names is None:
        return list(CONDITIONS)
    groups: dict[str, list[Condition]] = {}
    for condition in CONDITIONS:
        groups.setdefault(condition.name, []).append(condition)
    known = {f"{name}:{i}": c for name, group in groups.items() for i, c in enumerate(group, 1)}
    chosen: set[str] = set()
    for name in names:
        found = {key for key in known if name in (key, key.split(":")[0])}
        if not found:
            raise ValueError(f"unknown condition {name!r}; there are {', '.join(known)}")
        chosen |= found
    return [condition for key, condition in known.items() if key in chosen]
