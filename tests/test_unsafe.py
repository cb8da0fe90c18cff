"""`unsafe` stays where ARCHITECTURE.md says, and each use says why it is sound."""
import re

import pytest

from support.process import REPO

LINE = "`unsafe` is in"


def named() -> set[str]:
    """The files of the one line that lists them."""
    lines = [line for line in (REPO / "ARCHITECTURE.md").read_text().splitlines() if LINE in line]
    assert len(lines) == 1, "ARCHITECTURE.md has one line that says where `unsafe` is"
    return set(re.findall(r"`([\w/]+\.rs)`", lines[0].split(" | ")[0]))


def uses(source: str) -> list[tuple[int, str]]:
    """Lines with the keyword, less comments and texts."""
    bare = re.sub(r'"(?:\\.|[^"\\])*"', '""', source)
    lines = [re.sub(r"//.*", "", line) for line in bare.splitlines()]
    return [(n, line) for n, line in enumerate(lines) if re.search(r"\bunsafe\b(?!_)", line)]


def has_reason(lines: list[str], at: int) -> bool:
    """`SAFETY:` on the same line, or in the comment above what the use is part of."""
    for line in reversed(lines[max(0, at - 8):at + 1]):
        if "SAFETY:" in line or "# Safety" in line:
            return True
        if line.strip() in ("}", "") or re.match(r"\s*(pub )?fn ", line):
            return False
    return False


SOURCES = sorted(path for path in (REPO / "crates").rglob("*.rs") if uses(path.read_text()))


def test_unsafe_is_where_the_map_says():
    found = {str(path.relative_to(REPO)) for path in SOURCES if "/tests/" not in str(path)}
    stray = {path for path in found if not any(path.endswith("/" + name) for name in named())}
    assert stray == set(), "not in ARCHITECTURE.md's line"
    gone = {name for name in named() if not any(path.endswith("/" + name) for path in found)}
    assert gone == set(), "in ARCHITECTURE.md's line, and not unsafe (any more)"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_each_use_has_its_reason(path):
    lines = path.read_text().splitlines()
    # What a function asks of its callers is no use of it, nor is naming what C has: blocks are, and promises (`impl`).
    used = [n for n, line in uses(path.read_text()) if re.search(r"unsafe (\{|impl)", line)]
    assert used, path
    missing = [f"{path.relative_to(REPO)}:{n + 1}: {lines[n].strip()}" for n in used if not has_reason(lines, n)]
    assert missing == []


def test_the_search_sees_what_it_is_for():
    assert uses('let a = "unsafe"; // unsafe\n#![allow(unsafe_code)]') == []
    source = "fn a() {\n    unsafe { b() }\n}\n// SAFETY: c\nunsafe { d() }"
    assert [has_reason(source.splitlines(), n) for n, _ in uses(source)] == [False, True]
