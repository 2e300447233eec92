"""`python -m scoring rpc|worker|migrate|all|verify|…`."""

from kit.service import main
from scoring.app import build
from scoring.settings import Settings
from scoring.verifying.command import VERIFY

if __name__ == "__main__":
    main("scoring", build, Settings, commands=[VERIFY])
