"""`python -m scoring rpc|worker|migrate|all`."""

from kit.service import main
from scoring.app import build
from scoring.settings import Settings

if __name__ == "__main__":
    main("scoring", build, Settings)
