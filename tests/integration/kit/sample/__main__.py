"""`python -m tests.integration.kit.sample all`."""

from kit.service import main
from kit.settings import KitSettings
from tests.integration.kit.sample import PACKAGE
from tests.integration.kit.sample.app import NAME, build

if __name__ == "__main__":
    main(NAME, build, KitSettings, migrations=PACKAGE)
