"""`python -m aftersales rpc|worker|migrate|all`."""

from aftersales.app import build
from aftersales.settings import Settings
from kit.service import main

if __name__ == "__main__":
    main("aftersales", build, Settings)
