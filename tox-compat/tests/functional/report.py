"""The table of ../../README.md: what became of each scenario with each Nova. Every run writes or checks its own column."""

import importlib.metadata
import os
import re
import sys

import rig

README = rig.REPOSITORY / "tox-compat" / "README.md"
# Nova uses threads of the system where it is told so (2025.1 and later); otherwise eventlet replaces the standard library.
EVENTLET = "eventlet" in sys.modules and sys.modules["eventlet"].patcher.is_monkey_patched("socket")
COLUMN = f"Nova {importlib.metadata.version('nova')}{'' if EVENTLET else ', threads'}"
BEGIN, END = "<!-- functional -->\n", "<!-- end of functional -->"
ABSENT = "-"

_measured = {}


def tell(test, outcome, events):
    """Keeps what became of the instance, and the results of our events, under the test's docstring."""
    results = ", ".join(result for result, _ in events)
    _measured[test._testMethodDoc] = f"{outcome} ({results})" if results else outcome


def check(whole):
    """Compares with the README, or writes it with NOVACOMPAT_WRITE_FUNCTIONAL=1. Returns what differs.

    :param whole: whether all tests were run; of some of them, only their own rows are looked at
    """
    before, rest = README.read_text().split(BEGIN)
    committed, after = rest.split(END)
    columns = _read(committed)
    if os.environ.get("NOVACOMPAT_WRITE_FUNCTIONAL") == "1":
        columns[COLUMN] = _measured if whole else {**columns.get(COLUMN, {}), **_measured}
        README.write_text(before + BEGIN + _write(columns) + END + after)
        return []
    if COLUMN not in columns:
        return []
    names = dict.fromkeys([*(columns[COLUMN] if whole else []), *_measured])
    return [f"{name}: {COLUMN}: committed {columns[COLUMN].get(name)}, measured {_measured.get(name)}"
            for name in names if columns[COLUMN].get(name, ABSENT) != _measured.get(name, ABSENT)]


def _read(table):
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table.splitlines() if line]
    if not rows:
        return {}
    header, _, *rows = rows
    return {column: {row[0]: row[place] for row in rows} for place, column in enumerate(header) if place > 0}


def _write(columns):
    names = dict.fromkeys(name for column in columns.values() for name in column)
    lines = [["", *columns], ["---"] * (len(columns) + 1),
             *([name, *(column.get(name, ABSENT) for column in columns.values())] for name in names)]
    return "\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n\n"
