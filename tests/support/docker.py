"""Whether there is a Docker engine for the tests that want one."""

from __future__ import annotations

import os
import shutil
import subprocess

# Empty: there is one; otherwise why not. Set once per run.
VARIABLE = "DEALERLOOP_TEST_WITHOUT_DOCKER"
# Every container of the tests ends with its `with`; the reaper would be one more image to download.
os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")


def why_not() -> str:
    """Why Docker cannot be used here, in words; empty when it can."""
    if shutil.which("docker") is None:
        return "Docker is not installed"
    try:
        asked = subprocess.run(["docker", "info"], capture_output=True, timeout=10, check=False)
    except subprocess.TimeoutExpired:
        return "Docker's engine does not answer"
    return "" if asked.returncode == 0 else "Docker is installed, but its engine does not run"
