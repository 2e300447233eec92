"""`./dev test`: everything that this machine can run, in one pytest run with one closing line.

Two workers, each with servers of its own. The chaos tests end processes and look at the clock; they share one group
(tests/conftest.py), so that never two of them run at a time.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

from tools.machine import ROOT

WORKERS = min(4, max(2, os.cpu_count() or 2))


def test(arguments: Sequence[str]) -> int:
    """Without arguments all tests; otherwise pytest gets them, and runs in one process unless they say -n."""
    spread = [] if arguments else ["-n", str(WORKERS), "--dist", "loadgroup", "--durations=5"]
    return subprocess.run([sys.executable, "-m", "pytest", *spread, *arguments], cwd=ROOT, check=False).returncode
