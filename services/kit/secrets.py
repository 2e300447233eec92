"""`python -m kit.secrets FOLDER SERVICE…`: every secret of one deployment, with a folder for each reader.

A reader gets its own folder and nothing else, so that no service can sign as another or open another's database:

    <service>/             signing key, keyring, vault, link key, addresses of its database and of NATS
    migrations/<service>/  the addresses of its database, the owner's too
    postgres/              the superuser's name and password, and what the roles' passwords are derived from
    nats/                  the user that the broker takes
    origin/                what all of it is made from; nobody reads it but the next run

What is there is kept: a second run, or a run with one more service, changes nothing that is in use.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from secrets import token_urlsafe
from typing import Final

from kit.keys import KEYRING_FILE, LINKS_FILE, VAULT_FILE, create_key_directory
from kit.local.provision import addresses
from kit.settings import PREFIX

_SUPERUSER: Final = "postgres"
_NATS_USER: Final = "dealerloop"


def create(folder: Path, services: Sequence[str], *, postgres: str, nats: str) -> None:
    """Make what is missing. `postgres` and `nats` are host:port as the services will reach them."""
    origin = folder / "origin"
    create_key_directory(origin, services)
    superuser, roles, broker = (_remembered(origin / name) for name in ("postgres", "roles", "nats"))

    # The server of a container runs under an identity of its own: who may mount this folder may read it.
    for name, text in (("username", _SUPERUSER), ("password", superuser), ("roles", roles)):
        _write(folder / "postgres" / name, text, private=False)
    _write(
        folder / "nats" / "authorization.conf",
        f'authorization {{ user: "{_NATS_USER}", password: "{broker}" }}\n',
        private=False,
    )
    for service, (address, owner_address) in addresses(f"postgresql://{postgres}", services, roles).items():
        own = folder / service
        _write_setting(own, "database_url", address)
        _write_setting(own, "nats_url", f"nats://{_NATS_USER}:{broker}@{nats}")
        for name in (f"{service}.key", KEYRING_FILE, VAULT_FILE, LINKS_FILE):
            _write(own / name, (origin / name).read_text(encoding="utf-8"))
        migration = folder / "migrations" / service
        _write_setting(migration, "database_url", address)
        _write_setting(migration, "migration_database_url", owner_address)


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line and do it."""
    parser = argparse.ArgumentParser(prog="python -m kit.secrets", description="Make the secrets of a deployment.")
    parser.add_argument("folder", type=Path, help="where they go; keep it out of version control")
    parser.add_argument("services", nargs="+", metavar="service")
    parser.add_argument("--postgres", default="postgres:5432", metavar="HOST:PORT", help="default: %(default)s")
    parser.add_argument("--nats", default="nats:4222", metavar="HOST:PORT", help="default: %(default)s")
    given = parser.parse_args(argv)
    create(given.folder, given.services, postgres=given.postgres, nats=given.nats)


def _remembered(file: Path) -> str:
    if not file.exists():
        _write(file, token_urlsafe(32))
    return file.read_text(encoding="utf-8")


def _write_setting(folder: Path, name: str, value: str) -> None:
    _write(folder / f"{PREFIX}{name}".lower(), value)


def _write(file: Path, text: str, *, private: bool = True) -> None:
    # A folder that is there may be the root of a volume, whose mode is not ours to change.
    if not file.parent.exists():
        file.parent.mkdir(mode=0o700 if private else 0o755, parents=True)
    draft = file.with_name(f".{file.name}.new")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600 if private else 0o644)
    draft.write_text(text, encoding="utf-8")
    draft.replace(file)


if __name__ == "__main__":
    main()
