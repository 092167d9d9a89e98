"""What a check says: a line with a level, and what to do about it."""

from dataclasses import asdict, dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is. Only a problem makes the command fail."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        level: how bad it is.
        topic: what was looked at, a word or two.
        text: what was found.
        fix: what to type or to read, for warnings and problems.
    """

    level: Level
    topic: str
    text: str
    fix: str = ""

    def as_dict(self) -> dict[str, str]:
        return {key: str(value) for key, value in asdict(self).items()}


def ok(topic: str, text: str) -> Finding:
    return Finding(Level.OK, topic, text)


def note(topic: str, text: str, fix: str = "") -> Finding:
    return Finding(Level.NOTE, topic, text, fix)


def warning(topic: str, text: str, fix: str) -> Finding:
    return Finding(Level.WARNING, topic, text, fix)


def problem(topic: str, text: str, fix: str) -> Finding:
    return Finding(Level.PROBLEM, topic, text, fix)
