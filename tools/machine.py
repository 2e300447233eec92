"""Where things lie on this machine, and what runs there."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SERVICES = ("sales", "customer_care", "aftersales", "scoring", "gateway")
SERVERS = ("postgres", "nats")


@dataclass(frozen=True)
class Places:
    """The folder of all local state and what lies in it; nothing else is written on this machine."""

    state: Path = ROOT / ".dealerloop"

    @property
    def logs(self) -> Path:
        """One file per process."""
        return self.state / "logs"

    @property
    def run(self) -> Path:
        """The plan and the state of the supervisor."""
        return self.state / "run"

    @property
    def plan(self) -> Path:
        """What the supervisor is to run; holds passwords."""
        return self.run / "plan.json"

    @property
    def report(self) -> Path:
        """What the supervisor says about itself."""
        return self.run / "state.json"

    @property
    def lock(self) -> Path:
        """Held by the supervisor as long as it lives: it cannot be stale, as a file with a process id can."""
        return self.run / "supervisor.lock"

    @property
    def keys(self) -> Path:
        """Signing keys of the services and the keys of the vault."""
        return self.state / "keys"

    @property
    def postgres(self) -> Path:
        """PostgreSQL's data directory."""
        return self.state / "postgres"

    @property
    def nats(self) -> Path:
        """NATS' folder."""
        return self.state / "nats"

    @property
    def admin_password(self) -> Path:
        """The first administrator's password when nobody gave one; `demo` logs in with it."""
        return self.state / "admin-password"

    @property
    def admin_shown(self) -> Path:
        """There once the made password has been shown."""
        return self.state / "admin-password.shown"

    @property
    def clock(self) -> Path:
        """The clock of a simulation, shared by its services; only there while they live by it."""
        return self.state / "clock"

    @property
    def sample(self) -> Path:
        """Whether the sample group was loaded: `loading`, `loaded` or `none`; not there before the first start."""
        return self.state / "sample"

    @property
    def people_password(self) -> Path:
        """The password of all accounts of invented people."""
        return self.state / "people-password"

    @property
    def simulation(self) -> Places:
        """The places of `./dev simulate`, apart from those of `./dev up`."""
        return Places(self.state / "simulation")

    def prepare(self) -> None:
        """Makes the folders, closed to other users."""
        for folder in (self.state, self.logs, self.run):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def log_of(self, name: str) -> Path:
        """The log of a process."""
        return self.logs / f"{name}.log"


# Another folder than .dealerloop lets two copies run side by side, each with ports of its own.
PLACES = Places(Path(os.environ.get("DEALERLOOP_STATE") or ROOT / ".dealerloop").absolute())


@dataclass
class ProcessReport:
    """One process as its supervisor sees it."""

    pid: int = 0
    started: float = 0.0
    exits: int = 0
    last_exit: int | None = None
    address: str = ""


@dataclass
class Report:
    """What the supervisor says: phase is starting, running, stopping, failed or stopped."""

    supervisor: int = 0
    phase: str = "starting"
    doing: str = ""
    error: str = ""
    since: float = 0.0
    http: str = ""
    processes: dict[str, ProcessReport] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Replaces the file at once: a reader never sees half of it."""
        write_private(path, json.dumps(asdict(self), indent=1))

    @classmethod
    def read(cls, path: Path) -> Report:
        """What was written last; an empty report when there is none."""
        try:
            raw: dict[str, Any] = json.loads(path.read_text())
        except (FileNotFoundError, ValueError):
            return cls(phase="stopped")
        processes = {name: ProcessReport(**values) for name, values in raw.pop("processes").items()}
        return cls(**raw, processes=processes)


def is_running(places: Places = PLACES) -> bool:
    """Whether a supervisor lives."""
    try:
        with places.lock.open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def remembered(places: Places, name: str) -> str:
    """A random secret of this machine, made when first asked for."""
    path = places.state / f"{name}.secret"
    if not path.exists():
        write_private(path, secrets.token_urlsafe(32))
    return path.read_text()


def write_private(path: Path, text: str) -> None:
    """Writes a file that only its owner may read; it appears whole or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(text)
    draft.replace(path)
