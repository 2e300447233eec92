"""Becomes another program, with two things arranged first: who it is, and that it never outlives its parent.

Run as a script in a fresh interpreter (`python -I -S launch.py …`), so that nothing of this happens between fork and
exec of a process that has threads:

    launch.py --parent PID --death-signal N --identity keep|userns|setuid [--watch] -- PROGRAM ARGUMENT…

Identity: PostgreSQL refuses to run as root. `userns` makes a user namespace in which root's own user is called nobody:
every file that root may read stays readable, also below a 0700 home, and nothing needs chmod or chown. Where namespaces
are forbidden (many containers), `setuid` becomes nobody for real and keeps the right to pass 0700 folders.

Parent: Linux sends the death signal itself (PDEATHSIG). Elsewhere, or with --watch, this process stays and watches.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType

NOBODY = 65534
LINUX = sys.platform.startswith("linux")
WATCH_SECONDS = 0.25
_CLONE_NEWUSER = 0x10000000
_PR_SET_PDEATHSIG = 1
_PR_SET_KEEPCAPS = 8
_PR_SET_SECUREBITS = 28
_NO_SETUID_FIXUP = 1 << 2
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAP_DAC_OVERRIDE = 1
_CAPABILITY_VERSION_3 = 0x20080522
_FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapabilityData(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def enter_user_namespace() -> None:
    """Root is called nobody from here on; the kernel still treats its files as its own.

    Raises:
        OSError: the kernel or the container forbids it.
    """
    uid, gid = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWUSER) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{NOBODY} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{NOBODY} {gid} 1")


def become_nobody() -> None:
    """Drops root for good; keeps only the right to pass folders that are closed to others, where Linux allows it."""
    if not LINUX:
        import pwd

        nobody = pwd.getpwnam("nobody")
        os.setgroups([])
        os.setgid(nobody.pw_gid)
        os.setuid(nobody.pw_uid)
        return
    libc = ctypes.CDLL(None, use_errno=True)
    # Without this bit access(2), with which PostgreSQL looks for its own files, leaves the capability out.
    libc.prctl(_PR_SET_SECUREBITS, _NO_SETUID_FIXUP, 0, 0, 0)
    libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    bit = 1 << _CAP_DAC_OVERRIDE
    header = _CapabilityHeader(_CAPABILITY_VERSION_3, 0)
    data = (_CapabilityData * 2)(_CapabilityData(bit, bit, bit), _CapabilityData(0, 0, 0))
    # A container without this capability can still work when the folders are open to others: no error then.
    if libc.capset(ctypes.byref(header), ctypes.byref(data)) == 0:
        libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0)


def die_with_parent(parent: int, number: int) -> None:
    """Asks Linux for the death signal; must come after every change of identity, which clears it."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() != parent:
        raise SystemExit(0)  # the parent went away before the kernel was told


def watch(parent: int, number: int, program: list[str]) -> int:
    """Runs the program as a child, passes signals on, and ends it when the parent is gone. Returns its exit status."""
    child = os.fork()
    if child == 0:
        _execute(program)

    def forward(received: int, _frame: FrameType | None) -> None:
        os.kill(child, received)

    for each in _FORWARDED:
        signal.signal(each, forward)
    told = False
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if not told and os.getppid() != parent:
            os.kill(child, number)
            told = True
        time.sleep(WATCH_SECONDS)


def _execute(program: list[str]) -> None:
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and exec would pass that on
    try:
        os.execv(program[0], program)  # noqa: S606 the whole purpose; no shell is involved
    except OSError as error:
        sys.stderr.write(f"cannot run {program[0]}: {error.strerror}\n")
        os._exit(126)


def main(arguments: list[str]) -> int:
    """Reads the arguments, arranges, and becomes the program."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent", type=int, default=0)
    parser.add_argument("--death-signal", type=int, default=int(signal.SIGTERM))
    parser.add_argument("--identity", choices=["keep", "userns", "setuid"], default="keep")
    parser.add_argument("--watch", action="store_true")
    parser.add_argument("program", nargs="+")
    given = parser.parse_args(arguments)
    if given.identity == "userns":
        enter_user_namespace()
    elif given.identity == "setuid":
        become_nobody()
    if given.parent and (given.watch or not LINUX):
        status = watch(given.parent, given.death_signal, given.program)
        return status if status >= 0 else 128 - status
    if given.parent:
        die_with_parent(given.parent, given.death_signal)
    _execute(given.program)
    return 126


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
