"""The control group that holds all pods of a cluster: the one thing of it that the kernel does not take away.

Version 1 has one tree for each controller, version 2 a single tree; a machine may have both.
"""

from pathlib import Path

from scripts.cluster.host import WAY_ROUND
from scripts.cluster.settings import Settings
from scripts.console import UserError

ROOT = Path("/sys/fs/cgroup")

WEIGHTS = {"cpu/{}/cpu.shares": 8 * 1024, "{}/cpu.weight": 8 * 100}
"""Files of versions 1 and 2, and what is written to them: eight times the weight of a program beside the cluster.

With the default weight all pods together would get as much of a busy machine as one compiler does.
"""


def hierarchies() -> list[Path]:
    """The mounted trees: one for version 2, one a controller for version 1."""
    if (ROOT / "cgroup.controllers").exists():
        return [ROOT]
    return sorted(path for path in ROOT.iterdir() if path.is_dir() and not path.is_symlink())


def make(settings: Settings) -> None:
    """Makes the group in every tree: the kubelet wants its root to exist.

    Raises:
        UserError: the system does not let this process make control groups.
    """
    try:
        for tree in hierarchies():
            (tree / settings.cgroup).mkdir(exist_ok=True)
        if (ROOT / "cgroup.controllers").exists():
            hand_down_controllers(settings)
        give_weight(settings)
    except OSError as error:
        raise UserError(
            f"the control group {settings.cgroup} could not be made: {error}",
            why="the kubelet confines pods with it; in a container this needs a writable /sys/fs/cgroup of its own",
            fix=f"run outside a container, or privileged; or {WAY_ROUND}",
        ) from error


def hand_down_controllers(settings: Settings) -> None:
    """Version 2 only: a group has the controllers that its parent hands down."""
    wanted = " ".join(f"+{name}" for name in (ROOT / "cgroup.controllers").read_text().split())
    for group in (ROOT, ROOT / settings.cgroup):
        (group / "cgroup.subtree_control").write_text(wanted)


def give_weight(settings: Settings) -> None:
    """Sees to it that pods get their part of a busy machine."""
    for file, weight in WEIGHTS.items():
        path = ROOT / file.format(settings.cgroup)
        if path.exists():
            path.write_text(str(weight))


def remains(settings: Settings) -> list[Path]:
    """Groups of the cluster that still exist, the innermost first."""
    found = []
    for tree in hierarchies():
        top = tree / settings.cgroup
        if top.exists():
            inner = sorted((path for path in top.rglob("*") if path.is_dir()), key=lambda path: -len(path.parts))
            found += [*inner, top]
    return found


def remove(settings: Settings) -> None:
    """Removes the groups of a cluster that has ended. One that the kernel still holds is left for the next try."""
    for group in remains(settings):
        try:
            group.rmdir()
        except OSError:
            continue
