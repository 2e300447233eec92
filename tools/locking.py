"""`./dev lock`: requirements/*.in → hashed locks that name no host."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tools.machine import ROOT
from tools.terminal import Trouble, working

FLAGS = (
    "--universal",
    "--python-version",
    "3.11",
    "--generate-hashes",
    "--no-emit-index-url",
    "--no-annotate",
    "--no-header",
    "--quiet",
)


def lock(*, upgrade: bool) -> int:
    """Resolves each file; without `upgrade` the versions that still fit stay."""
    uv = Path(sys.executable).with_name("uv")
    for source in sorted((ROOT / "requirements").glob("*.in")):
        target = source.with_suffix(".txt")
        with working(f"Resolving {source.relative_to(ROOT)}"):
            flags = [*FLAGS, *(["--upgrade"] if upgrade else [])]
            command = [str(uv), "pip", "compile", *flags, str(source), "-o", str(target)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise Trouble(f"{source.name} cannot be resolved:\n{done.stderr.strip()}")
            forbidden = [line for line in target.read_text().splitlines() if "://" in line]
            if forbidden:
                raise Trouble(f"{target.name} names a host, which a lock must not: {forbidden[0]}")
    return 0
