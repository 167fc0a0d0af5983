"""Free memory of the system."""

import re
from pathlib import Path

_SYSTEM = Path("/proc/meminfo")
_GROUP = Path("/sys/fs/cgroup")


def free_memory() -> int | None:
    """Returns the free memory in bytes, within a container's limit; None if it is unknown."""
    try:
        found = re.search(r"^MemAvailable:\s+(\d+) kB", _SYSTEM.read_text(), re.MULTILINE)
    except OSError:
        return None
    free = 1024 * int(found[1]) if found else None
    try:
        limit = int((_GROUP / "memory.max").read_text())
        used = int((_GROUP / "memory.current").read_text())
        files = re.search(r"^inactive_file (\d+)", (_GROUP / "memory.stat").read_text(), re.M)
    except (OSError, ValueError):  # no limit: "max"
        return free
    left = limit - used + (int(files[1]) if files else 0)
    return left if free is None else min(free, left)
