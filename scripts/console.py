"""What the commands say: one console, steps with their times, errors that tell what to type."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape

console = Console(highlight=False, soft_wrap=True)
stderr = Console(stderr=True, highlight=False, soft_wrap=True)


class UserError(Exception):
    """Something the user can put right. Printed without a traceback; the process ends with status 1.

    Args:
        what: what is wrong, and where.
        why: the reason or the rule behind it.
        fix: what to type.
    """

    def __init__(self, what: str, *, why: str = "", fix: str = "") -> None:
        super().__init__("\n".join(part for part in (what, why, fix) if part))
        self.what, self.why, self.fix = what, why, fix

    def print(self) -> None:
        stderr.print(f"[bold red]error:[/] {escape(self.what)}")
        if self.why:
            stderr.print(f"  [bold]why:[/] {escape(self.why)}")
        if self.fix:
            stderr.print(f"  [bold]fix:[/] {escape(self.fix)}")


def seconds(duration: float) -> str:
    """``0.4 s``, ``12 s``, ``3 min 05 s``: a duration as people read it."""
    if duration < 10:
        return f"{duration:.1f} s"
    minutes, rest = divmod(round(duration), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


@contextmanager
def step(what: str, *, quiet: bool = False) -> Iterator[None]:
    """Says what a piece of work does while it runs, and how long it took when it ends.

    On a terminal a spinner turns; in a log there is one line at the start of the work and one at its end, so that a
    reader of a log that stands still sees what it waits for. ``quiet`` prints nothing unless the work fails.
    """
    began = time.monotonic()
    if quiet:
        status = None
    elif console.is_terminal:
        status = console.status(escape(what))
        status.start()
    else:
        status = None
        console.print(f"  ... {escape(what)}")
    try:
        yield
    except BaseException:
        if status:
            status.stop()
        console.print(f"  [red]✗[/] {escape(what)} [dim]failed after {seconds(time.monotonic() - began)}[/]")
        raise
    if status:
        status.stop()
    if not quiet:
        console.print(f"  [green]✓[/] {escape(what)} [dim]{seconds(time.monotonic() - began)}[/]")
