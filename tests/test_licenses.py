"""No GPL or AGPL in the build, one TLS library, nothing but crates.io: read from `cargo tree`."""
import re
import subprocess
from functools import cache

from support.process import REPO

ALLOWED = {"MIT", "MIT-0", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "Zlib", "0BSD", "BSL-1.0", "CC0-1.0", "Unicode-3.0",
           "Unicode-DFS-2016", "OpenSSL", "CDLA-Permissive-2.0", "IJG", "Unlicense", "Apache-2.0 WITH LLVM-exception", "MPL-2.0"}


def allowed(expression: str) -> bool:
    """Evaluates an SPDX expression: each licence by whether it is on the list."""
    tokens = re.findall(r"\(|\)|\bAND\b|\bOR\b|[\w.+-]+(?: WITH [\w.-]+)?", expression.replace("/", " OR "))
    words = {"AND": "and", "OR": "or", "(": "(", ")": ")"}
    return eval(" ".join(words.get(t) or str(t in ALLOWED) for t in tokens))


@cache
def in_build() -> dict[str, str]:
    """Crate and version -> licence, of all that reaches a binary here: no dependency of tests alone.
    (`cargo metadata` would list crates that no feature turns on.)"""
    done = subprocess.run(["cargo", "tree", "--workspace", "--edges=normal,build", "--prefix=none", "--format={p}|{l}", "--offline", "--locked"],
                          cwd=REPO, capture_output=True, text=True, check=True)
    return dict(line.removesuffix(" (*)").split("|") for line in done.stdout.splitlines() if line)


def test_evaluator_knows_yes_from_no():
    assert allowed("MIT OR GPL-3.0") and allowed("MIT/Apache-2.0") and allowed("(MIT OR GPL-2.0) AND ISC")
    assert not allowed("GPL-3.0-only") and not allowed("MIT AND AGPL-3.0")


def test_every_licence_is_permissive():
    assert len(in_build()) > 100
    assert {crate: licence for crate, licence in in_build().items() if not licence or not allowed(licence)} == {}


def test_every_crate_is_ours_or_from_crates_io():
    elsewhere = [crate for crate in in_build() if "(" in crate.replace("(proc-macro)", "")]
    assert [crate for crate in elsewhere if str(REPO) not in crate] == []


def test_one_tls_library():
    assert len({crate.split()[0] for crate in in_build()} & {"ring", "aws-lc-rs", "openssl", "native-tls"}) <= 1
