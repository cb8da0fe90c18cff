"""docs/performance.md is written by hand but for its tables, which stand between markers and come of the benches."""
import re
import sys

from .measure import ROOT

PAGE = ROOT / "docs" / "performance.md"


def fill(name: str, text: str) -> None:
    """Replaces what stands between `<!-- NAME -->` and `<!-- /NAME -->`."""
    page = PAGE.read_text()
    filled, places = re.subn(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", lambda m: f"{m[1]}\n{text.strip()}\n\n{m[2]}", page, flags=re.S)
    if places != 1:
        sys.exit(f"bench: {PAGE.name} has no single place for {name}")
    PAGE.write_text(filled)
