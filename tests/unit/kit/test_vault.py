"""Sealed columns and blind indexes."""

import hmac
import json
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.keys import (
    KeyFileError,
    create_key_directory,
    load_keyring,
    load_links_key,
    load_signing_key,
    load_vault,
)
from kit.vault import Vault, VaultError

OLD, NEW, BLIND = b"o" * 32, b"n" * 32, b"b" * 32
PHONE = "+8613800138000"


@pytest.fixture
def vault() -> Vault:
    return Vault({1: OLD}, active=1, blind_key=BLIND)


@given(st.text())
def test_what_is_sealed_opens_to_the_same_text(text: str) -> None:
    vault = Vault({1: OLD}, active=1, blind_key=BLIND)

    assert vault.open("customer.name", vault.seal("customer.name", text)) == text


def test_two_seals_of_one_text_differ_and_do_not_show_it(vault: Vault) -> None:
    first, second = vault.seal("customer.phone", PHONE), vault.seal("customer.phone", PHONE)

    assert first != second
    assert PHONE.encode() not in first
    assert first[0] == 1


def test_a_value_cannot_be_moved_to_another_column(vault: Vault) -> None:
    sealed = vault.seal("customer.phone", PHONE)

    with pytest.raises(VaultError, match=r"not a customer\.name"):
        vault.open("customer.name", sealed)


@pytest.mark.parametrize("place", [0, 1, 13, -1])
def test_a_changed_byte_is_noticed(vault: Vault, place: int) -> None:
    sealed = bytearray(vault.seal("customer.phone", PHONE))
    sealed[place] ^= 1

    with pytest.raises(VaultError) as caught:
        vault.open("customer.phone", bytes(sealed))
    assert PHONE not in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"\x01", b"\x01" * 28])
def test_a_cut_off_value_is_noticed(vault: Vault, data: bytes) -> None:
    with pytest.raises(VaultError):
        vault.open("customer.phone", data)


def test_after_a_key_change_old_values_open_and_ask_to_be_sealed_again(vault: Vault) -> None:
    old = vault.seal("customer.phone", PHONE)
    changed = Vault({1: OLD, 2: NEW}, active=2, blind_key=BLIND)

    assert changed.open("customer.phone", old) == PHONE
    assert changed.needs_reseal(old)
    fresh = changed.seal("customer.phone", PHONE)
    assert not changed.needs_reseal(fresh)
    with pytest.raises(VaultError, match="no vault key of version 2"):
        vault.open("customer.phone", fresh)


@given(st.binary(min_size=32, max_size=32), st.text())
def test_the_blind_index_is_a_plain_hmac_that_other_programs_can_compute(key: bytes, text: str) -> None:
    made = Vault({1: OLD}, active=1, blind_key=key).blind("customer.phone", text)

    assert made == hmac.digest(key, b"customer.phone\0" + text.encode(), "sha256")[:16]


def test_the_blind_index_finds_the_same_text_only_and_survives_a_key_change(vault: Vault) -> None:
    changed = Vault({1: OLD, 2: NEW}, active=2, blind_key=BLIND)

    assert len(vault.blind("customer.phone", PHONE)) == 16
    assert vault.blind("customer.phone", PHONE) == changed.blind("customer.phone", PHONE)
    assert vault.blind("customer.phone", PHONE) != vault.blind("customer.phone", PHONE + "1")
    assert vault.blind("customer.phone", PHONE) != vault.blind("customer.mobile", PHONE)
    assert vault.blind("a", "bc") != vault.blind("ab", "c")


@pytest.mark.parametrize(
    ("keys", "active", "blind"),
    [
        ({}, 1, BLIND),
        ({1: b"short"}, 1, BLIND),
        ({1: OLD}, 2, BLIND),
        ({0: OLD}, 0, BLIND),
        ({1: OLD}, 1, b""),
    ],
)
def test_keys_that_cannot_be_right_are_refused(keys: dict[int, bytes], active: int, blind: bytes) -> None:
    with pytest.raises(VaultError):
        Vault(keys, active=active, blind_key=blind)


def test_a_key_directory_is_private_and_complete(tmp_path: Path) -> None:
    create_key_directory(tmp_path / "keys", ["sales", "gateway"])

    directory = tmp_path / "keys"
    assert sorted(file.name for file in directory.iterdir()) == [
        "gateway.key",
        "keyring.json",
        "links.key",
        "sales.key",
        "vault.json",
    ]
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in directory.iterdir()} == {0o600}
    assert {key.kid for key in load_keyring(directory).keys} == {"sales", "gateway"}
    assert "d" not in json.loads((directory / "keyring.json").read_text())["keys"][0]
    assert load_signing_key(directory, "sales").is_private
    assert len(load_links_key(directory)) == 32
    assert load_vault(directory).seal("p", "t")[0] == 1


def test_making_it_again_keeps_the_keys_and_adds_new_services(tmp_path: Path) -> None:
    create_key_directory(tmp_path, ["sales"])
    sealed = load_vault(tmp_path).seal("p", "text")
    key = load_signing_key(tmp_path, "sales").as_dict(private=True)

    create_key_directory(tmp_path, ["sales", "scoring"])

    assert load_vault(tmp_path).open("p", sealed) == "text"
    assert load_signing_key(tmp_path, "sales").as_dict(private=True) == key
    assert {key.kid for key in load_keyring(tmp_path).keys} == {"sales", "scoring"}


def test_missing_and_broken_files_are_named(tmp_path: Path) -> None:
    for load in (load_keyring, load_links_key, lambda path: load_signing_key(path, "sales")):
        with pytest.raises(KeyFileError, match=str(tmp_path)):
            load(tmp_path)
    with pytest.raises(VaultError, match="no vault file"):
        load_vault(tmp_path)

    for name in ("keyring.json", "links.key", "sales.key", "vault.json"):
        (tmp_path / name).write_text("{}")
    for load in (load_keyring, load_links_key, lambda path: load_signing_key(path, "sales")):
        with pytest.raises(KeyFileError, match=str(tmp_path)):
            load(tmp_path)
    with pytest.raises(VaultError, match="not a vault file"):
        load_vault(tmp_path)


def test_another_services_key_is_refused(tmp_path: Path) -> None:
    create_key_directory(tmp_path, ["sales"])
    (tmp_path / "sales.key").rename(tmp_path / "scoring.key")

    with pytest.raises(KeyFileError, match="not the private key of scoring"):
        load_signing_key(tmp_path, "scoring")
