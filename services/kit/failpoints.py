"""Places at which a test may end the process as hard as a power cut would.

`DEALERLOOP_FAILPOINT="after_publish:3"` sends SIGKILL to this process when the named place is passed for the third
time. Places: `after_commit` (a business transaction with events is in the database, nobody was told), `after_publish`
(the stream has the events, the outbox does not know it), `before_ack` (the handler's work is in the database, the
stream does not know it), `after_ack` (the stream knows it, the next batch has not begun), `import_checked` (a batch of
a dry run is in the database, the rest is not), `import_taking` (a batch of an import is taken over and not committed),
`import_taken` (it is committed, the next one has not begun).
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from typing import Final

VARIABLE: Final = "DEALERLOOP_FAILPOINT"
NAMES: Final = frozenset(
    {
        "after_commit",
        "after_publish",
        "before_ack",
        "after_ack",
        "import_checked",
        "import_taking",
        "import_taken",
    }
)


def parse(text: str) -> tuple[str, int]:
    """The place and the pass that are meant by `name` or `name:count`.

    Raises:
        ValueError: the name is none of `NAMES` or the count is no positive number; a typo must not pass for "survived".
    """
    name, _, count = text.partition(":")
    if name not in NAMES:
        raise ValueError(f"{VARIABLE}: there is no failpoint {name!r}; there are {', '.join(sorted(NAMES))}")
    if count and not (count.isdigit() and int(count) > 0):
        raise ValueError(f"{VARIABLE}: {count!r} is not a count of passes")
    return name, int(count or 1)


@dataclass(slots=True)
class _Armed:
    name: str | None = None
    left: int = 0


_armed = _Armed()


def arm(text: str | None) -> None:
    """Sets the failpoint of this process, or none."""
    _armed.name, _armed.left = parse(text) if text else (None, 0)


def armed(name: str) -> bool:
    """Whether the process is to end at this place, now or at a later pass."""
    return _armed.name == name


def hit(name: str) -> None:
    """Passes the place; ends the process when the test asked for it, else costs one comparison."""
    if _armed.name != name:
        return
    _armed.left -= 1
    if _armed.left <= 0:
        os.kill(os.getpid(), signal.SIGKILL)


arm(os.environ.get(VARIABLE))
