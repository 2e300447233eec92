"""`./dev bench`: the measurements in bench/, in the order of their names."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence

from tools.machine import ROOT
from tools.terminal import BAD, OK, Trouble, note


def bench(only: Sequence[str]) -> int:
    """Runs each program by itself; a target that is missed is its exit code 1."""
    programs = [path.stem for path in sorted((ROOT / "bench").glob("*.py")) if '"__main__"' in path.read_text()]
    unknown = set(only) - set(programs)
    if unknown:
        raise Trouble(f"There is no {', '.join(sorted(unknown))} in bench/; there are: {', '.join(programs)}")
    missed = []
    for name in programs:
        if only and name not in only:
            continue
        note(f"\n== {name}")
        begin = time.monotonic()
        done = subprocess.run([sys.executable, "-m", f"bench.{name}"], cwd=ROOT, check=False)
        note(f"{OK if done.returncode == 0 else BAD} {name}  {time.monotonic() - begin:.0f} s")
        if done.returncode:
            missed.append(name)
    if missed:
        raise Trouble(f"Missed or failed: {', '.join(missed)}")
    return 0
