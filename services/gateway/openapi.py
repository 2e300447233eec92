"""`python -m gateway.openapi [FILE]` prints the OpenAPI document, or writes it where the committed one is kept."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from gateway.api import bindings, descriptors
from gateway.api.openapi import document


def text() -> str:
    """The document as the repository keeps it: sorted as made, indented, UTF-8, one newline at the end."""
    contracts = descriptors.load(descriptors.default_path().read_bytes())
    return json.dumps(document(bindings.read(contracts), contracts), ensure_ascii=False, indent=2) + "\n"


def main(arguments: list[str]) -> None:
    """Writes the document to the file that is named, else to standard output."""
    if arguments:
        path = Path(arguments[0])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text(), encoding="utf-8")
    else:
        sys.stdout.write(text())


if __name__ == "__main__":
    main(sys.argv[1:])
