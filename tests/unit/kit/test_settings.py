"""Configuration from the environment."""

from pathlib import Path

import pytest

from kit.settings import ConfigurationError, KitSettings, load


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.startswith("DEALERLOOP_"):
            monkeypatch.delenv(name)


def test_what_is_needed_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEALERLOOP_DATABASE_URL", "postgres://sales_app:secret@db:5432/sales")
    monkeypatch.setenv("DEALERLOOP_KEYS_DIR", "/keys")
    monkeypatch.setenv("DEALERLOOP_SCORING_TARGET", "dns:///scoring:50051")
    monkeypatch.setenv("DEALERLOOP_METRICS_LISTEN", "")

    settings = load(KitSettings)

    assert settings.database_url == "postgresql://sales_app:secret@db:5432/sales"
    assert settings.keys_dir == Path("/keys")
    assert settings.target_of("scoring") == "dns:///scoring:50051"
    assert settings.metrics_listen is None
    assert "secret" not in repr(settings)


def test_a_neighbour_without_an_address_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEALERLOOP_DATABASE_URL", "postgresql://a@b/c")
    monkeypatch.setenv("DEALERLOOP_KEYS_DIR", "/keys")

    with pytest.raises(ConfigurationError, match="DEALERLOOP_SALES_TARGET is not set"):
        load(KitSettings).target_of("sales")


def test_all_mistakes_are_said_at_once_without_their_values(monkeypatch: pytest.MonkeyPatch) -> None:
    class Settings(KitSettings):
        port_count: int

    monkeypatch.setenv("DEALERLOOP_DATABASE_URL", "mysql://u:geheim@h/d")
    monkeypatch.setenv("DEALERLOOP_NATS_URL", "http://h")
    monkeypatch.setenv("DEALERLOOP_RPC_LISTEN", "127.0.0.1:99999")
    monkeypatch.setenv("DEALERLOOP_LOG_LEVEL", "chatty")
    monkeypatch.setenv("DEALERLOOP_PORT_COUNT", "many")

    with pytest.raises(ConfigurationError) as caught:
        load(Settings)

    said = str(caught.value)
    for name in ("DATABASE_URL", "NATS_URL", "RPC_LISTEN", "LOG_LEVEL", "PORT_COUNT", "KEYS_DIR"):
        assert f"DEALERLOOP_{name}" in said
    assert "KEYS_DIR (the directory of signing keys, keyring and vault keys): is not set" in said
    assert "geheim" not in said
