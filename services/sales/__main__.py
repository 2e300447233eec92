"""`python -m sales rpc|worker|migrate|all`."""

from kit.service import main
from sales.app import build
from sales.settings import Settings

if __name__ == "__main__":
    main("sales", build, Settings)
