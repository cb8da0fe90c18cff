"""docs/performance.md is written by hand but for its tables and plots, which stand between markers and come of the benches."""
import re
import shutil
import sys
from pathlib import Path

from .measure import OUT, ROOT

PAGE = ROOT / "docs" / "performance.md"
PLOTS = PAGE.parent / "plots"


def fill(name: str, text: str, plots: dict[str, str] | None = None, page: Path = PAGE) -> None:
    """Replaces what stands between `<!-- NAME -->` and `<!-- /NAME -->`. `plots`: file in bench/out -> what it shows."""
    PLOTS.mkdir(exist_ok=True)
    shown = {file: what for file, what in (plots or {}).items() if (OUT / file).exists()}
    for file in shown:
        shutil.copy(OUT / file, PLOTS / file)
    text = "\n\n".join([*(f"![{what}](plots/{file})" for file, what in shown.items()), text])
    filled, places = re.subn(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", lambda m: f"{m[1]}\n{text.strip()}\n\n{m[2]}", page.read_text(), flags=re.S)
    if places != 1:
        sys.exit(f"bench: {page.name} has no single place for {name}")
    page.write_text(filled)
