"""Whatever the OpenAPI document allows and forbids: never a server error, never an answer outside the document."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.loop import PASSWORD, Group
from tests.support.stack import Stack

pytestmark = [pytest.mark.xdist_group("stack"), pytest.mark.timeout(240)]

_CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance,negative_data_rejection,unsupported_method,ignored_auth"
)
_GROUP_ROLES = ("ADMINISTRATOR", "GROUP_QUALITY_MANAGER")
_STORE_ROLES = ("GENERAL_MANAGER", "SALES_MANAGER", "CARE_MANAGER", "CARE_SPECIALIST", "AFTERSALES_MANAGER")
# Repeated wrong guesses of the current password lock the account, as they should.
_LEFT_OUT = "/v1/me:changePassword"


def test_no_request_gets_a_server_error_or_an_undocumented_answer(stack: Stack, group: Group, tmp_path: Path) -> None:
    roles = [{"role": f"ROLE_{role}", "place": "group"} for role in _GROUP_ROLES]
    roles += [{"role": f"ROLE_{role}", "place": group.store} for role in _STORE_ROLES]
    body = {"displayName": "Fuzz", "password": PASSWORD, "roles": roles}
    group.must(group.admin.post("/v1/staff", params={"staffId": "fuzz"}, json=body))
    token = stack.sign_in("fuzz", PASSWORD).headers["Authorization"]
    configuration = tmp_path / "schemathesis.toml"
    configuration.write_text(_real_things(group))
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(configuration), "run"]
    command += [f"{stack.url}/openapi.json", "--header", f"Authorization: {token}", "--checks", _CHECKS]
    command += [
        "--exclude-path",
        _LEFT_OUT,
        "--phases",
        "coverage,fuzzing",
        "--max-examples",
        "10",
        "--seed",
        "1",
        "--no-shrink",
    ]
    command += ["--continue-on-failure", "--request-timeout", "20", "--warnings", "off", "--no-color"]

    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False, timeout=220)

    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


def _real_things(group: Group) -> str:
    """Ids that there are, so that calls get past the access check and into the services."""
    delivery = group.deliver()
    stack = group.stack
    stack.wait_for("the plan", lambda: len(group.follow_ups(delivery)) > 10 and len(group.surveys(delivery)) == 1)
    customer = delivery["customer"]["name"]
    parameters = {
        "store": group.store,
        "delivery": delivery["name"],
        "customer": customer,
        "followUp": group.follow_ups(delivery)[0]["name"],
        "survey": group.surveys(delivery)[0]["name"],
        "vin": delivery["vin"],
        "token": group.surveys(delivery)[0]["publicPath"],
    }
    lines = (f'"path.{name}" = "{value.rsplit("/", 1)[-1]}"' for name, value in parameters.items())
    return "[parameters]\n" + "\n".join(lines) + "\n"
