"""On which ports `./dev up` and `./dev simulate` listen, beside each other."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools import starting
from tools.machine import Places
from tools.plan import Wishes
from tools.simulation import command
from tools.terminal import Trouble


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which somebody listens."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def test_the_port_of_up_is_not_the_simulations() -> None:
    assert command.wishes_of({"DEALERLOOP_PORT": "8231"}).http_port != 8231
    assert command.wishes_of({"DEALERLOOP_PORT": "none"}).http_port > 0


def test_the_simulation_listens_where_its_own_variable_says() -> None:
    assert command.wishes_of({"DEALERLOOP_PORT": "8231", "DEALERLOOP_SIMULATION_PORT": "8232"}).http_port == 8232


def test_the_simulation_takes_a_free_port_when_the_usual_one_is_taken(
    taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "_PORT", taken)

    assert command.wishes_of({}).http_port != taken
    assert command.wishes_of({"DEALERLOOP_SIMULATION_PORT": str(taken)}).http_port == taken


def test_a_simulation_port_that_is_none_is_refused_by_its_name() -> None:
    with pytest.raises(Trouble, match="DEALERLOOP_SIMULATION_PORT must be a port number, not 'x'"):
        command.wishes_of({"DEALERLOOP_SIMULATION_PORT": "x"})


def test_a_simulation_never_uses_the_servers_of_somebody_else() -> None:
    wishes = command.wishes_of({"DATABASE_URL": "postgresql://a@b/c", "NATS_URL": "nats://n:1"})

    assert (wishes.database_url, wishes.nats_url) == ("", "")


@pytest.mark.parametrize(
    ("variable", "name", "wishes_of"),
    [
        ("DEALERLOOP_PORT", "up", Wishes.of),
        ("DEALERLOOP_SIMULATION_PORT", "simulate", command.wishes_of),
    ],
)
def test_who_meets_a_taken_port_is_told_the_command_that_helps(
    taken: int, tmp_path: Path, variable: str, name: str, wishes_of: object
) -> None:
    assert callable(wishes_of)
    wishes = wishes_of({variable: str(taken)})

    with pytest.raises(Trouble, match=f"Port {taken} is taken") as refused:
        starting.check_machine(wishes, Places(tmp_path), name)

    assert str(refused.value).endswith(f"\n  {variable}={taken + 1} ./dev {name}")
