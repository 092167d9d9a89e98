"""Which files of the host a program needs, so that it runs in an image of its own."""

import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

# A distribution with a merged /usr has these links; images made from its files need them too.
MERGED_LINKS = {
    f"/{name}": f"usr/{name}"
    for name in ("bin", "sbin", "lib", "lib64")
    if Path(f"/{name}").is_symlink() and Path(f"/usr/{name}").is_dir()
}


def shared_libraries(programs: Iterable[Path]) -> dict[str, Path]:
    """The shared libraries (dynamic loader included) that programs or libraries need from the host.

    Returns:
        path in the image and file on the host. What a file finds beside itself (inside one of the given folders'
        trees) is listed too; the caller's files win.
    """
    found: dict[str, Path] = {}
    wanted = [str(path) for path in programs]
    for start in range(0, len(wanted), 200):  # a few hundred names fit on one command line
        said = subprocess.run(["ldd", *wanted[start : start + 200]], capture_output=True, text=True).stdout
        for line in said.splitlines():
            if match := re.match(r"\s+(?:\S+ => )?(/\S+) \(0x[0-9a-f]+\)", line):
                found[in_image(match[1])] = Path(match[1]).resolve()
    return found


def in_image(path: str) -> str:
    """The path in the image: /lib/x becomes /usr/lib/x where the host has the one linked to the other."""
    for link, target in MERGED_LINKS.items():
        if path.startswith(f"{link}/"):
            return f"/{target}{path[len(link) :]}"
    return path
