"""What machine the results are of."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path


def machine() -> str:
    """CPU, cores, operating system and interpreters, in one line."""
    parts = [
        f"{_cpu_model()}, {os.cpu_count()} cores",
        f"{platform.system()} {platform.machine()}",
        f"{platform.python_implementation()} {platform.python_version()}",
    ]
    if shutil.which("node") is not None:
        version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True)
        parts.append(f"Node {version.stdout.strip().removeprefix('v')}")
    return "; ".join(parts)


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown CPU"
