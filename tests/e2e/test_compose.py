"""The compose file, built and started for real; needs a Docker engine with its compose plugin."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from kit.local.process import free_port
from tools.demo import __main__ as story
from tools.demo.client import Person
from tools.demo.story import Story

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "a-password-of-this-test"
# The first build fetches every library.
pytestmark = [pytest.mark.docker, pytest.mark.timeout(1200)]


class Compose:
    """One project of its own: containers, volumes, images and port that nobody else uses."""

    def __init__(self) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._project = f"dealerloop-test-{os.getpid()}"
        self._environment = os.environ | {
            "DEALERLOOP_ADMIN_PASSWORD": PASSWORD,
            "DEALERLOOP_PORT": str(port),
            "DEALERLOOP_TAG": "test",
        }

    def __call__(self, *arguments: str) -> str:
        command = ["docker", "compose", "--project-name", self._project, *arguments]
        done = subprocess.run(
            command, cwd=ROOT, env=self._environment, capture_output=True, text=True, timeout=1100, check=False
        )
        assert done.returncode == 0, f"{' '.join(arguments)}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout


@pytest.fixture(scope="module")
def compose() -> Iterator[Compose]:
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode != 0:
        pytest.skip("Docker has no compose plugin here")
    running = Compose()
    try:
        running("up", "--build", "--wait", "--quiet-pull")
        yield running
    finally:
        running("down", "--volumes", "--timeout", "20")


def test_the_system_is_ready_and_lets_its_administrator_in(compose: Compose) -> None:
    with httpx.Client(base_url=compose.url, timeout=15) as http:
        ready = http.get("/readyz")
        form = {"grant_type": "password", "username": "admin", "password": PASSWORD}
        token = http.post("/v1/auth/token", data=form).json()["access_token"]
        # Asked of another service, over gRPC with a signed token.
        unknown = http.get("/v1/cadenceTemplates/unknown/versions", headers={"Authorization": f"Bearer {token}"})

    assert ready.status_code == httpx.codes.OK, ready.text
    assert unknown.json()["reason"] == "CADENCE_NOT_FOUND", unknown.text


def test_the_whole_story_is_told_in_containers(compose: Compose) -> None:
    told = Story(compose.url, PASSWORD)
    with closing(told.http):
        story.tell(told)

    states = compose("ps", "--all", "--format", "{{.Name}} {{.State}} {{.ExitCode}}").splitlines()
    assert [line for line in states if not line.endswith((" running 0", " exited 0"))] == []
    assert "no differences" in compose("exec", "-T", "scoring", "python", "-m", "scoring", "verify")


def test_a_second_start_changes_no_secret_and_loses_nothing(compose: Compose) -> None:
    def fingerprint() -> str:
        return compose("exec", "-T", "sales", "sh", "-c", "cat /secrets/sales/* | sha256sum")

    def stores() -> object:
        with httpx.Client(base_url=compose.url, timeout=15) as http:
            return Person(http, "admin", PASSWORD).get("/v1/stores")

    before = fingerprint(), stores()
    compose("down", "--timeout", "20")
    compose("up", "--wait", "--no-build")

    assert (fingerprint(), stores()) == before


def test_a_service_sees_its_own_secrets_only_and_can_write_nowhere(compose: Compose) -> None:
    seen = compose(
        "exec", "-T", "sales", "sh", "-c", "id -u; find /secrets -type f -exec basename {} ';'; ls /app/services"
    )

    secrets = ["sales.key", "keyring.json", "vault.json", "links.key", "dealerloop_database_url", "dealerloop_nats_url"]
    assert sorted(seen.split()) == sorted(["10001", *secrets, "dealership", "kit", "sales"])
    refused = compose("exec", "-T", "sales", "sh", "-c", "touch /app/x /secrets/sales/x 2>/dev/null || echo refused")
    assert refused.strip() == "refused"
