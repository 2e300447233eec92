"""One child process: started detached from the terminal, logged to a file, never left behind."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import pwd
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from kit.local import launch

Identity = Literal["keep", "userns", "setuid"]
POLL_SECONDS = 0.005
_PORTS = range(16_000, 32_000)
_PORT_TRIES = 100


class LocalServerError(Exception):
    """A local server could not be started; the message is for the person at the terminal."""


class UnsupportedPlatformError(LocalServerError):
    """There is no binary for this machine; a server's address can be given instead."""


class Child:
    """A running program that dies with the process that started it.

    Start it from the main thread: on Linux it ends when the *thread* that started it ends.
    """

    def __init__(
        self,
        program: Sequence[str],
        *,
        log_path: Path,
        death_signal: signal.Signals = signal.SIGTERM,
        identity: Identity = "keep",
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        watch: bool = False,
    ) -> None:
        self.log_path = log_path
        log_path.parent.mkdir(parents=True, exist_ok=True)
        self._log_start = log_path.stat().st_size if log_path.exists() else 0
        launcher = [sys.executable, "-I", "-S", launch.__file__, "--parent", str(os.getpid())]
        launcher += ["--death-signal", str(int(death_signal)), "--identity", identity]
        launcher += ["--watch"] if watch else []
        with log_path.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 our own launcher and a program path that we made
                [*launcher, "--", *program],
                stdin=subprocess.DEVNULL,
                cwd=folder,
                stdout=log,
                stderr=log,
                env=None if environment is None else dict(environment),
                start_new_session=True,  # Ctrl-C in the terminal is for the person's command, not for the servers
            )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._process.poll()

    def send(self, number: signal.Signals) -> None:
        """Sends a signal; a process that has ended already is no error."""
        self._process.send_signal(number)

    def stop(self, number: signal.Signals, *, timeout: float) -> int:
        """Asks it to end, waits `timeout` seconds, then kills it. Returns the exit code."""
        self.send(number)
        code = self.wait(timeout)
        return self.kill() if code is None else code

    def wait(self, timeout: float) -> int | None:
        """The exit code, or None when it still runs after `timeout` seconds."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> int:
        """SIGKILL to the process and what shares its session group."""
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.kill()
        return self._process.wait()

    def tail(self, lines: int = 12) -> str:
        """The last lines that it wrote since it was started."""
        return tail(self.log_path, lines, since=self._log_start)


def tail(path: Path, lines: int, *, since: int = 0) -> str:
    """The last `lines` lines of a log, not looking before byte `since`."""
    if not path.exists():
        return ""
    with path.open("rb") as log:
        log.seek(max(since, path.stat().st_size - 64_000))
        return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])


def wait_until(ready: Callable[[], bool], child: Child, *, timeout: float, what: str) -> None:
    """Waits for `ready`.

    Raises:
        LocalServerError: the process ended or `timeout` seconds passed; says what it wrote last.
    """
    deadline = time.monotonic() + timeout
    while not ready():
        code = child.exit_code()
        if code is not None:
            raise LocalServerError(f"{what} ended at start (exit code {code}):\n{child.tail() or '(it wrote nothing)'}")
        if time.monotonic() > deadline:
            child.kill()
            raise LocalServerError(f"{what} was not ready after {timeout:g} s:\n{child.tail() or '(it wrote nothing)'}")
        time.sleep(POLL_SECONDS)


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port that nobody listens on at this moment.

    From below the range out of which systems give ports to connections that go out: between this answer and the start
    of the server, any connection of any process could take one of those.
    """
    for _ in range(_PORT_TRIES):
        port = _PORTS.start + secrets.randbelow(len(_PORTS))
        with contextlib.suppress(PermissionError):
            if is_free(port, host):
                return port
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen on the port now. Raises OSError when it could not listen there at all."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return False
    return True


@functools.cache
def unprivileged() -> Identity:
    """How a program that refuses root is to be run here."""
    root = os.geteuid() == 0
    if not root and (_has_name() or not launch.LINUX):
        return "keep"
    if not launch.LINUX:
        return "setuid"
    trial = [sys.executable, "-I", "-S", launch.__file__, "--identity", "userns", "--", "/bin/sh", "-c", "exit 0"]
    done = subprocess.run(trial, capture_output=True, check=False)  # noqa: S603 constant command
    if done.returncode == 0:
        return "userns"
    return "setuid" if root else "keep"


def _has_name() -> bool:
    """Whether the system knows this user; initdb wants a name, and a container's user may have a bare number."""
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        return False
    return True


def give_to(identity: Identity, place: Path) -> None:
    """Makes a file or folder belong to whom the identity becomes; does something only when that changed."""
    if os.geteuid() != 0:
        return
    if identity != "setuid":
        owner = 0
    elif launch.LINUX:
        owner = launch.NOBODY
    else:
        owner = pwd.getpwnam("nobody").pw_uid
    if place.stat().st_uid == owner:
        return
    os.chown(place, owner, -1)
    for path in place.rglob("*"):
        os.chown(path, owner, -1, follow_symlinks=False)
