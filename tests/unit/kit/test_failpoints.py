from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from kit import failpoints


@pytest.mark.parametrize(
    ("text", "meant"), [("after_publish:3", ("after_publish", 3)), ("before_ack", ("before_ack", 1))]
)
def test_a_failpoint_is_a_name_and_a_pass(text: str, meant: tuple[str, int]) -> None:
    assert failpoints.parse(text) == meant


@pytest.mark.parametrize("text", ["", "after_lunch", "after_ack:0", "after_ack:-1", "after_ack:x"])
def test_a_mistyped_failpoint_is_an_error_and_not_a_test_that_passes(text: str) -> None:
    with pytest.raises(ValueError, match="DEALERLOOP_FAILPOINT"):
        failpoints.parse(text)


def test_nothing_happens_when_no_failpoint_is_set() -> None:
    for name in failpoints.NAMES:
        assert not failpoints.armed(name)
        failpoints.hit(name)


def test_the_process_ends_by_sigkill_at_the_pass_that_was_asked_for() -> None:
    program = (
        "from kit import failpoints\n"
        "for name in ('before_ack', 'after_ack', 'before_ack', 'before_ack'):\n"
        "    print(name, flush=True)\n"
        "    failpoints.hit(name)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, failpoints.VARIABLE: "before_ack:2"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == -signal.SIGKILL
    assert done.stdout.split() == ["before_ack", "after_ack", "before_ack"]
