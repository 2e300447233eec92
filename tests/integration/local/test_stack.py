"""What the end-to-end tests stand on: a stack is ready when each of its own services is, or says why it is not."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from tests.support.stack import Stack


def test_a_stack_in_which_another_server_sits_at_a_services_address_is_not_ready(tmp_path: Path) -> None:
    """That server would answer calls that it does not know, and every one of them would look like a fault of ours."""
    stack = Stack(tmp_path)
    port = int(next(job.address for job in stack.plan.services if job.name == "sales").rpartition(":")[2])

    stranger = grpc.server(ThreadPoolExecutor(1), options=[("grpc.so_reuseport", 0)])
    assert stranger.add_insecure_port(f"127.0.0.1:{port}") == port
    stranger.start()
    try:
        with pytest.raises(AssertionError, match="sales ended") as failed, stack.running():
            pass
    finally:
        stranger.stop(0).wait()

    (note,) = failed.value.__notes__
    kept = Path(note.rpartition(": ")[2])
    try:
        assert "the port is taken" in (kept / "sales.log").read_text()
    finally:
        shutil.rmtree(kept)
