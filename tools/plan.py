"""What `./dev up` runs: servers, one-time jobs, services, with every address decided beforehand."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kit.local.nats import LocalNats
from kit.local.postgres import LocalPostgres
from kit.local.process import free_port, is_free
from kit.local.provision import addresses
from tools.machine import ROOT, SERVICES, Places, remembered, write_private

# These may be said from outside; everything else of ours is decided here.
_PASSED_ON = ("DEALERLOOP_LOG_LEVEL", "DEALERLOOP_OTLP_ENDPOINT", "DEALERLOOP_TRACE_SAMPLE")
# Jumps of a shared clock run past short tokens, and hashing a password takes longer than most calls do.
_SIMULATED = {"DEALERLOOP_TOKEN_MINUTES": str(7 * 24 * 60)}


@dataclass(frozen=True)
class Server:
    """A server of our own: where its data lie and its port."""

    folder: str
    port: int


@dataclass(frozen=True)
class Job:
    """A program with its environment; `address` is where it can be reached, for people."""

    name: str
    program: list[str]
    environment: dict[str, str]
    address: str = ""


@dataclass(frozen=True)
class Plan:
    """All of it. Jobs of one stage of `setup` run side by side, stages one after the other."""

    logs: str
    http: str = ""
    postgres: Server | None = None
    nats: Server | None = None
    setup: dict[str, list[Job]] = field(default_factory=dict)
    services: list[Job] = field(default_factory=list)

    def write(self, path: Path) -> None:
        """Stores it; it holds passwords."""
        write_private(path, json.dumps(asdict(self), indent=1))

    @classmethod
    def read(cls, path: Path) -> Plan:
        """Reads what `write` stored."""
        raw: dict[str, Any] = json.loads(path.read_text())
        return cls(
            logs=raw["logs"],
            http=raw["http"],
            postgres=Server(**raw["postgres"]) if raw["postgres"] else None,
            nats=Server(**raw["nats"]) if raw["nats"] else None,
            setup={stage: [Job(**job) for job in jobs] for stage, jobs in raw["setup"].items()},
            services=[Job(**job) for job in raw["services"]],
        )


@dataclass(frozen=True)
class Wishes:
    """What the person said in the environment."""

    http_host: str = "127.0.0.1"
    http_port: int = 8080
    database_url: str = ""
    nats_url: str = ""
    admin_password: str = ""
    port_variable: str = "DEALERLOOP_PORT"

    @classmethod
    def of(cls, environment: Mapping[str, str], *, port_variable: str = "DEALERLOOP_PORT", port: int = 8080) -> Wishes:
        """Reads them; `port` is where the gateway listens when `port_variable` does not say it.

        Raises:
            ValueError: the variable holds no port.
        """
        said = environment.get(port_variable, str(port))
        if not said.isdecimal() or not 0 < int(said) < 65536:  # noqa: PLR2004 the largest port
            raise ValueError(f"{port_variable} must be a port number, not {said!r}")
        return cls(
            http_host=environment.get("DEALERLOOP_HTTP_HOST", "127.0.0.1"),
            http_port=int(said),
            port_variable=port_variable,
            database_url=environment.get("DATABASE_URL", ""),
            nats_url=environment.get("NATS_URL", ""),
            admin_password=environment.get("DEALERLOOP_ADMIN_PASSWORD", ""),
        )

    @property
    def url(self) -> str:
        """Where a browser on this machine finds the gateway."""
        host = "127.0.0.1" if self.http_host in {"0.0.0.0", "::"} else self.http_host  # noqa: S104 compared only
        return f"http://{host}:{self.http_port}"


def make(wishes: Wishes, places: Places, *, simulated: bool = False) -> Plan:
    """Decides ports, passwords and environments. Ports are kept from one start to the next while they are free.

    `simulated`: everything lives by the clock in `places.clock`.
    """
    ports = _Ports(places, wishes.http_port)
    postgres = None if wishes.database_url else Server(str(places.postgres), ports.take("postgres"))
    nats = None if wishes.nats_url else Server(str(places.nats), ports.take("nats"))
    superuser = wishes.database_url or LocalPostgres(places.postgres, ports.take("postgres")).url
    broker = wishes.nats_url or LocalNats(places.nats, ports.take("nats")).url
    secret = remembered(places, "roles")
    databases = addresses(superuser, SERVICES, secret)
    base = _base_environment() | {
        "DEALERLOOP_NATS_URL": broker,
        "DEALERLOOP_KEYS_DIR": str(places.keys),
        **{f"DEALERLOOP_{name.upper()}_TARGET": f"127.0.0.1:{ports.take(name)}" for name in SERVICES},
    }
    if simulated:
        base |= {"DEALERLOOP_CLOCK_FILE": str(places.clock), **_SIMULATED}
    services = []
    migrations = {}
    for name in SERVICES:
        database_url, migration_url = databases[name]
        listen = f"127.0.0.1:{ports.take(name)}"
        own = base | {"DEALERLOOP_DATABASE_URL": database_url, "DEALERLOOP_RPC_LISTEN": listen}
        if name == "gateway":
            own |= {
                "DEALERLOOP_HTTP_LISTEN": f"{wishes.http_host}:{wishes.http_port}",
                "DEALERLOOP_HTTP_HOST": wishes.http_host,
                "DEALERLOOP_PORT": str(wishes.http_port),
                "DEALERLOOP_PUBLIC_URL": wishes.url,
                "DEALERLOOP_ADMIN_PASSWORD": wishes.admin_password,
            }
        migrations[f"DEALERLOOP_MIGRATE_{name}"] = migration_url
        services.append(Job(name, _python(name, "all"), own, wishes.url if name == "gateway" else listen))
    provision = Job(
        "provision",
        _python("kit.local.provision", *SERVICES),
        base | {"DEALERLOOP_SUPERUSER_URL": superuser, "DEALERLOOP_ROLE_SECRET": secret},
    )
    migrate = Job("migrate", _python("tools.migrating", *SERVICES), base | migrations)
    ports.keep()
    return Plan(
        logs=str(places.logs),
        http=wishes.url,
        postgres=postgres,
        nats=nats,
        setup={"Preparing roles and databases": [provision], "Migrating the databases": [migrate]},
        services=services,
    )


def _python(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]


def _base_environment() -> dict[str, str]:
    """Ours without settings that were meant for something else."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DEALERLOOP_", "PG"))}
    kept |= {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    paths = os.pathsep.join(str(path) for path in (ROOT / "services", ROOT / "gen", ROOT))
    return kept | {"PYTHONPATH": paths, "PYTHONUNBUFFERED": "1"}


class _Ports:
    """Ports by name, each another one, the same as last time when they are still free."""

    def __init__(self, places: Places, http_port: int) -> None:
        self._http_port = http_port
        self._path = places.state / "ports.json"
        try:
            self._last: dict[str, int] = json.loads(self._path.read_text())
        except (FileNotFoundError, ValueError):
            self._last = {}
        self._now: dict[str, int] = {}

    def take(self, name: str) -> int:
        if name not in self._now:
            last = self._last.get(name, 0)
            if not last or self._is_given(last) or not is_free(last):
                # Nobody listens there yet, so a port that is given already would be called free.
                last = next(port for port in iter(free_port, 0) if not self._is_given(port))
            self._now[name] = last
        return self._now[name]

    def _is_given(self, port: int) -> bool:
        return port == self._http_port or port in self._now.values()

    def keep(self) -> None:
        write_private(self._path, json.dumps(self._now))
