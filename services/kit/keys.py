"""The directory of keys: who signs as whom, and what opens the vault."""

import base64
import json
import secrets
from collections.abc import Iterable
from pathlib import Path

from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OKPKey

from kit.vault import KEY_BYTES, Vault

KEYRING_FILE = "keyring.json"
VAULT_FILE = "vault.json"
LINKS_FILE = "links.key"


class KeyFileError(Exception):
    """A key file is missing or unreadable; the message names the file."""


def create_key_directory(path: Path, services: Iterable[str]) -> None:
    """Make every key file that is not there yet, readable by the owner only.

    Existing keys are kept, so a second run, or a run with one more service, changes nothing that is in use.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    public = []
    for service in services:
        file = path / f"{service}.key"
        if not file.exists():
            key = OKPKey.generate_key("Ed25519", {"kid": service}, private=True, auto_kid=False)
            _write(file, json.dumps(key.as_dict(private=True)))
        public.append(load_signing_key(path, service).as_dict(private=False))
    _write(path / KEYRING_FILE, json.dumps({"keys": public}, indent=2))
    if not (path / VAULT_FILE).exists():
        vault = {"active": 1, "keys": {"1": _random_base64()}, "blind": _random_base64()}
        _write(path / VAULT_FILE, json.dumps(vault, indent=2))
    if not (path / LINKS_FILE).exists():
        _write(path / LINKS_FILE, secrets.token_hex(KEY_BYTES))


def load_signing_key(path: Path, service: str) -> OKPKey:
    """Read a service's private Ed25519 key; its `kid` is the service's name. Raises KeyFileError."""
    file = path / f"{service}.key"
    try:
        key = OKPKey.import_key(json.loads(_read(file)))
    except (ValueError, JoseError):
        raise KeyFileError(f"{file} is not an Ed25519 key") from None
    if key.kid != service or not key.is_private:
        raise KeyFileError(f"{file} is not the private key of {service}")
    return key


def load_keyring(path: Path) -> KeySet:
    """Read the public keys of all services. Raises KeyFileError."""
    file = path / KEYRING_FILE
    try:
        return KeySet.import_key_set(json.loads(_read(file)))
    except (ValueError, KeyError, TypeError, JoseError):
        raise KeyFileError(f"{file} is not a set of public keys") from None


def load_links_key(path: Path) -> bytes:
    """Read the 32 bytes that sign public links. Raises KeyFileError."""
    file = path / LINKS_FILE
    try:
        key = bytes.fromhex(_read(file).strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise KeyFileError(f"{file} is not {KEY_BYTES} bytes in hex")
    return key


def load_vault(path: Path) -> Vault:
    """Open the vault of this directory. Raises VaultError."""
    return Vault.load(path / VAULT_FILE)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise KeyFileError(f"cannot read {file}: {error.strerror}") from None


def _write(file: Path, text: str) -> None:
    # Made with its final mode and renamed into place: no moment in which others may read it, or see half of it.
    draft = file.with_name(f".{file.name}.new")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_text(text, encoding="utf-8")
    draft.replace(file)


def _random_base64() -> str:
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()
