"""The secrets of a deployment: each reader gets its own and no other's, and nothing in use ever changes."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from kit import keys, secrets
from kit.settings import ConfigurationError, KitSettings, load

SERVICES = ["sales", "scoring"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    secrets.create(tmp_path, SERVICES, postgres="db:5432", nats="broker:4222")
    return tmp_path


def contents(folder: Path) -> dict[str, str]:
    return {str(file.relative_to(folder)): file.read_text() for file in folder.rglob("*") if file.is_file()}


def test_a_service_finds_all_that_it_needs_in_its_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEALERLOOP_SECRETS_DIR", str(folder / "sales"))
    monkeypatch.setenv("DEALERLOOP_KEYS_DIR", str(folder / "sales"))

    settings = load(KitSettings)

    assert settings.database_url.startswith("postgresql://sales_app:")
    assert settings.database_url.endswith("@db:5432/sales")
    assert settings.nats_url.endswith("@broker:4222")
    assert settings.migration_database_url is None
    assert keys.load_signing_key(settings.keys_dir, "sales").kid == "sales"
    assert len(keys.load_keyring(settings.keys_dir).keys) == len(SERVICES)
    vault = keys.load_vault(settings.keys_dir)
    assert vault.open("test", keys.load_vault(folder / "scoring").seal("test", "text")) == "text"
    assert keys.load_links_key(settings.keys_dir) == keys.load_links_key(folder / "scoring")


def test_no_service_can_sign_as_another_or_open_its_database(folder: Path) -> None:
    own = {name: text for name, text in contents(folder).items() if name.startswith("sales/")}

    assert not [name for name in own if "scoring" in name]
    assert not [name for name, text in own.items() if "scoring_app" in text or "_owner" in text]
    with pytest.raises(keys.KeyFileError):
        keys.load_signing_key(folder / "sales", "scoring")


def test_only_the_migration_has_the_owners_address(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEALERLOOP_SECRETS_DIR", str(folder / "migrations" / "sales"))
    monkeypatch.setenv("DEALERLOOP_KEYS_DIR", "unused")

    settings = load(KitSettings)

    assert settings.migration_database_url is not None
    assert settings.migration_database_url.startswith("postgresql://sales_owner:")
    assert [name for name, text in contents(folder).items() if "_owner" in text] == [
        f"migrations/{service}/dealerloop_migration_database_url" for service in SERVICES
    ]


def test_a_second_run_changes_nothing_that_is_in_use(folder: Path) -> None:
    before = contents(folder)

    secrets.main([str(folder), *SERVICES, "aftersales", "--postgres", "db:5432", "--nats", "broker:4222"])

    after = contents(folder)
    assert {name: after[name] for name in before if not name.endswith("keyring.json")} == {
        name: text for name, text in before.items() if not name.endswith("keyring.json")
    }
    assert len(keys.load_keyring(folder / "sales").keys) == len(SERVICES) + 1


def test_what_services_read_is_closed_to_other_users(folder: Path) -> None:
    for name in contents(folder):
        mode = stat.S_IMODE((folder / name).stat().st_mode)
        # The servers run under identities of their own.
        assert mode == (0o644 if name.startswith(("postgres/", "nats/")) else 0o600), name


def test_a_variable_comes_before_the_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEALERLOOP_SECRETS_DIR", str(folder / "sales"))
    monkeypatch.setenv("DEALERLOOP_KEYS_DIR", str(folder / "sales"))
    monkeypatch.setenv("DEALERLOOP_DATABASE_URL", "postgresql://me@elsewhere/mine")

    assert load(KitSettings).database_url == "postgresql://me@elsewhere/mine"


def test_a_folder_that_is_not_there_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEALERLOOP_SECRETS_DIR", str(tmp_path / "nothing"))

    with pytest.raises(ConfigurationError, match="DEALERLOOP_SECRETS_DIR"):
        load(KitSettings)
