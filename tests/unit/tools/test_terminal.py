"""What a person at the terminal sees."""

from __future__ import annotations

from rich.cells import cell_len

from tools.terminal import table


def test_chinese_names_do_not_shift_the_columns_behind_them() -> None:
    lines = table(("ACCOUNT", "NAME", "WORK"), [("gm", "王芳", "gm"), ("admin", "Ann", "admin")]).splitlines()

    starts = [cell_len(line[: line.rindex(" ") + 1]) for line in lines]
    assert starts == [len("ACCOUNT  NAME  ")] * 3
    assert lines[1] == "gm       王芳  gm"
