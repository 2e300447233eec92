"""`python -m customer_care rpc|worker|migrate|all|dlq`."""

from customer_care.app import build
from customer_care.settings import Settings
from kit.service import main

if __name__ == "__main__":
    main("customer_care", build, Settings)
