"""`./dev check`: what can be known about the sources without running the product. Needs no network."""

from __future__ import annotations

import difflib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from tools import codegen, protos
from tools.machine import ROOT
from tools.terminal import BAD, OK, Trouble, note, working

SOURCES = ("services", "tools", "tests", "bench")
BUF = Path(sys.executable).with_name("buf")
_CONFIG = ROOT / "proto" / "buf.yaml"
_DOCUMENTS = {"docs/api/openapi.json": "gateway.openapi", "docs/api/asyncapi.yaml": "tools.asyncapi"}
_SHOWN_LINES = 40


class Complaint(Exception):
    """What is wrong, for the person who will mend it."""


def check(only: Sequence[str], *, fix: bool) -> int:
    """Runs the checks two at a time; prints each as it ends and all complaints at the end."""
    unknown = set(only) - set(CHECKS)
    if unknown:
        raise Trouble(f"There is no check {', '.join(sorted(unknown))}; there are: {', '.join(CHECKS)}")
    if fix:
        with working("Letting ruff mend what it can"):
            _module("ruff", "check", "--fix", "-q", *_formatted(), tolerant=True)
            _module("ruff", "format", "-q", *_formatted())
    complaints: dict[str, str] = {}
    chosen = [name for name in CHECKS if not only or name in only]
    with working(f"Checking: {', '.join(chosen)}"), ThreadPoolExecutor(2) as threads:
        begun = {threads.submit(_timed, CHECKS[name]): name for name in chosen}
        for done in as_completed(begun):
            seconds, complaint, remark = done.result()
            name = begun[done]
            note(f"{BAD if complaint else OK} {name}  {seconds:.1f} s{f'  ({remark})' if remark else ''}")
            if complaint:
                complaints[name] = complaint
    for name, complaint in complaints.items():
        note(f"\n== {name}\n{complaint}")
    if complaints:
        raise Trouble(f"To mend: {', '.join(complaints)}")
    return 0


def _timed(look: Callable[[], str]) -> tuple[float, str, str]:
    begin = time.monotonic()
    try:
        remark = look()
    except Complaint as complaint:
        return time.monotonic() - begin, str(complaint), ""
    return time.monotonic() - begin, "", remark


def _formatted() -> list[str]:
    return [*_present(), "dev"]


def _present() -> list[str]:
    return [name for name in SOURCES if any((ROOT / name).rglob("*.py"))]


def _format() -> str:
    return _module("ruff", "format", "--check", "-q", *_formatted())


def _lint() -> str:
    return _module("ruff", "check", "-q", *_formatted())


def _types() -> str:
    return _module("mypy", *_present())


def _imports() -> str:
    return _run([str(Path(sys.executable).with_name("lint-imports")), "--no-cache"])


def _contracts() -> str:
    """buf's rules of style, comments on everything, and our rule about request_id."""
    descriptors = codegen.DESCRIPTORS.read_bytes()
    complaints = protos.mutations_without_request_id(descriptors)
    if complaints:
        raise Complaint("\n".join(complaints))
    with tempfile.TemporaryDirectory(prefix="dealerloop-") as folder:
        image = Path(folder) / "now.binpb"
        image.write_bytes(protos.image(descriptors))
        return _run([str(BUF), "lint", str(image), "--config", str(_CONFIG)])


def _breaking() -> str:
    """Whether a caller of the published contracts would notice."""
    commit = protos.base()
    before = protos.described_at(commit) if commit else None
    if before is None:
        return "nothing published yet to compare with"
    with tempfile.TemporaryDirectory(prefix="dealerloop-") as folder:
        now, then = Path(folder) / "now.binpb", Path(folder) / "then.binpb"
        now.write_bytes(protos.image(codegen.DESCRIPTORS.read_bytes()))
        then.write_bytes(protos.image(before))
        against = ["--against", str(then), "--config", str(_CONFIG), "--exclude-imports"]
        _run([str(BUF), "breaking", str(now), *against])
    return f"against {commit[:12]}"


def _documents() -> str:
    """Whether the committed documents are what the sources make."""
    for name, module in _DOCUMENTS.items():
        document = ROOT / name
        made = _output([sys.executable, "-m", module])
        committed = document.read_text(encoding="utf-8") if document.exists() else ""
        if made != committed:
            lines = difflib.unified_diff(committed.splitlines(), made.splitlines(), name, "made now", lineterm="", n=1)
            difference = "\n".join(list(lines)[:_SHOWN_LINES])
            raise Complaint(f"{difference}\n\nMake it anew: .venv/bin/python -m {module} {name}")
    return ""


def _module(name: str, *arguments: str, tolerant: bool = False) -> str:
    return _run([sys.executable, "-m", name, *arguments], tolerant=tolerant)


def _run(command: Sequence[str], *, tolerant: bool = False) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode and not tolerant:
        raise Complaint((done.stdout + done.stderr).strip())
    return ""


def _output(command: Sequence[str]) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Complaint(done.stderr.strip())
    return done.stdout


CHECKS: dict[str, Callable[[], str]] = {
    "types": _types,
    "format": _format,
    "lint": _lint,
    "imports": _imports,
    "contracts": _contracts,
    "breaking": _breaking,
    "documents": _documents,
}
