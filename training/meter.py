"""What training tells of some steps: their losses, and where the time went."""

from collections import defaultdict
from dataclasses import dataclass, field


@dataclass
class Meter:
    """Sums over steps.

    Attributes:
        terms: sums of the loss's terms.
        steps: number of steps.
        samples: of this process.
        waited: seconds spent waiting for data.
        seconds: in all.
    """

    terms: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    steps: int = 0
    samples: int = 0
    waited: float = 0.0
    seconds: float = 0.0

    def add(self, terms: dict[str, float], samples: int, waited: float, seconds: float) -> None:
        """Counts a step."""
        for name, value in terms.items():
            self.terms[name] += value
        self.steps += 1
        self.samples += samples
        self.waited += waited
        self.seconds += seconds
