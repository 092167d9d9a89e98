"""A figure that is known only within bounds."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Interval:
    """``low <= mid <= high``, all of one unit. ``mid`` is the best single guess."""

    low: float
    mid: float
    high: float

    @classmethod
    def exact(cls, value: float) -> "Interval":
        return cls(value, value, value)

    def __add__(self, other: "Interval") -> "Interval":
        return Interval(self.low + other.low, self.mid + other.mid, self.high + other.high)

    def scaled(self, factor: float) -> "Interval":
        """Every bound times a factor that is not negative."""
        return Interval(self.low * factor, self.mid * factor, self.high * factor)

    def rest_of(self, whole: float) -> "Interval":
        """What of ``whole`` is left: the high bound of this is the low bound of the rest."""
        return Interval(whole - self.high, whole - self.mid, whole - self.low)

    @classmethod
    def largest(cls, *parts: "Interval") -> "Interval":
        """The bounds of the largest of several figures that do not add up (peaks at different times)."""
        return cls(max(p.low for p in parts), max(p.mid for p in parts), max(p.high for p in parts))
