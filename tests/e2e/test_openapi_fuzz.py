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
    "response_schema_conformance,ignored_auth"
)
_ROLES = (
    "ADMINISTRATOR",
    "GROUP_QUALITY_MANAGER",
    "GENERAL_MANAGER",
    "SALES_MANAGER",
    "CARE_MANAGER",
    "AFTERSALES_MANAGER",
)
# The store of the tests, so that calls get past the access check and into the services.
_CONFIGURATION = """
[parameters]
"path.store" = ["bj-01"]
"""


def test_no_request_gets_a_server_error_or_an_undocumented_answer(stack: Stack, group: Group, tmp_path: Path) -> None:
    body = {
        "displayName": "Fuzz",
        "password": PASSWORD,
        "roles": [{"role": f"ROLE_{role}", "place": "group"} for role in _ROLES],
    }
    group.must(group.admin.post("/v1/staff", params={"staffId": "fuzz"}, json=body))
    token = stack.sign_in("fuzz", PASSWORD).headers["Authorization"]
    configuration = tmp_path / "schemathesis.toml"
    configuration.write_text(_CONFIGURATION)
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(configuration), "run"]
    command += [f"{stack.url}/openapi.json", "--header", f"Authorization: {token}", "--checks", _CHECKS]
    command += ["--phases", "coverage,fuzzing", "--max-examples", "10", "--seed", "1", "--no-shrink"]
    command += ["--continue-on-failure", "--request-timeout", "20", "--warnings", "off", "--no-color"]

    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False, timeout=220)

    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
