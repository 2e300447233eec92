"""`python -m gateway rpc|worker|migrate|all`."""

from gateway.app import build
from gateway.settings import Settings
from kit.service import main

if __name__ == "__main__":
    main("gateway", build, Settings)
