"""A time line as SVG: requests over replicas, by hand, because two step charts need no library."""

from collections.abc import Callable
from html import escape

from scripts.plan.simulate.world import Result, View

WIDTH, HEIGHT, LEFT, TOP, GAP = 960, 200, 64, 40, 48
LINES: tuple[tuple[str, tuple[tuple[str, str, Callable[[View], float]], ...]], ...] = (
    (
        "requests",
        (
            ("running", "#2a78b5", lambda v: v.running),
            ("waiting and held", "#c4432b", lambda v: v.waiting + v.held),
        ),
    ),
    (
        "replicas",
        (
            ("wanted", "#8a8a8a", lambda v: v.replicas),
            ("ready", "#2c8a4b", lambda v: v.ready),
        ),
    ),
)


def svg(result: Result) -> str:
    """One drawing: two charts over the same time axis."""
    height = TOP + len(LINES) * (HEIGHT + GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH + LEFT + 24} {height}" '
        'font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="{LEFT}" y="22" font-size="15" font-weight="bold">{escape(_title(result))}</text>',
    ]
    for index, (name, lines) in enumerate(LINES):
        parts += _chart(result.views, name, lines, TOP + index * (HEIGHT + GAP), max(result.duration, 1))
    return "\n".join([*parts, "</svg>", ""])


def _title(result: Result) -> str:
    return f"{result.strategy}: {result.attainment:.1%} inside the SLO, {result.gpu_hours:.1f} GPU-hours"


def _chart(
    views: list[View],
    name: str,
    lines: tuple[tuple[str, str, Callable[[View], float]], ...],
    top: float,
    duration: float,
) -> list[str]:
    shown = [v for v in views if v.time <= duration]
    most = max((read(v) for v in shown for _, _, read in lines), default=0)
    scale = _round_up(most)
    parts = [f'<rect x="{LEFT}" y="{top}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#bbb"/>']
    for step in range(5):
        y = top + HEIGHT - HEIGHT * step / 4
        parts.append(f'<line x1="{LEFT}" y1="{y}" x2="{LEFT + WIDTH}" y2="{y}" stroke="#eee"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{scale * step / 4:g}</text>')
    for minute in range(0, int(duration // 60) + 1, max(1, int(duration // 60 // 6) or 1)):
        x = LEFT + WIDTH * minute * 60 / duration
        parts.append(f'<text x="{x:.0f}" y="{top + HEIGHT + 16}" text-anchor="middle">{minute} min</text>')
    for index, (label, colour, read) in enumerate(lines):
        points = _steps([(v.time, read(v)) for v in shown], duration, scale, top)
        parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="1.6" points="{points}"/>')
        parts.append(f'<text x="{LEFT + 8 + index * 130}" y="{top + 16}" fill="{colour}">{name}: {label}</text>')
    return parts


def _steps(values: list[tuple[float, float]], duration: float, scale: float, top: float) -> str:
    """Points of a step line: a value holds until the next one."""
    points, last = [], None
    for time, value in values:
        x = LEFT + WIDTH * time / duration
        y = top + HEIGHT - HEIGHT * value / scale
        if last is not None and last != y:
            points.append(f"{x:.1f},{last:.1f}")
        points.append(f"{x:.1f},{y:.1f}")
        last = y
    return " ".join(points)


def _round_up(value: float) -> float:
    """The next of 4, 8, 20, 40, 80, 200 ...: it divides by four without fractions."""
    scale = 4.0
    for factor in (2, 2.5, 2) * 12:
        if value <= scale:
            break
        scale *= factor
    return scale
