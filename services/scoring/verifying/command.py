"""`python -m scoring verify [--month YYYY-MM]`: 0 when every figure is what the responses give, 1 when one is not."""

from __future__ import annotations

import re
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from typing import Final

from kit.service import Command, KitContext
from scoring.models.service import ModelCatalogue
from scoring.verifying.service import Verifying

_MONTH: Final = re.compile(r"20\d\d-(0[1-9]|1[0-2])")


def a_month(text: str) -> str:
    """The month as it is written everywhere.

    Raises:
        ArgumentTypeError: it is none.
    """
    if not _MONTH.fullmatch(text):
        raise ArgumentTypeError(f"{text!r} is not a month such as 2026-03")
    return text


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--month", type=a_month, metavar="YYYY-MM", help="only this month; all otherwise")


async def _run(context: KitContext, arguments: Namespace) -> int:
    findings = await Verifying(context.database, ModelCatalogue()).run(arguments.month or "", _say)
    _say(findings.summary())
    return 1 if findings.differences else 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


VERIFY: Final = Command(
    "verify", "recompute every grade from its responses and compare digit by digit", _run, _add_arguments
)
