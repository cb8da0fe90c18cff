"""What a shell and `man` are told of the command line."""
import re
import subprocess

import pytest

from support import tintype

COMMANDS = set(re.findall(r"^  (\w+) ", tintype.run("--help").stdout.partition("Commands:")[2].partition("Options:")[0], re.M)) - {"help"}


def completed(*words: str) -> list[str]:
    """What bash offers for the last of some words, by the script that is printed."""
    script = 'source <(' + f'"{tintype.BINARY}" completions bash' + '); COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))\n' \
             '_tintype tintype "${@: -1}" "${@: -2:1}"; printf "%s\\n" "${COMPREPLY[@]}"'
    done = subprocess.run(["bash", "-c", script, "bash", *words], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return done.stdout.split()


def test_bash_completes_commands_options_and_values():
    assert set(completed("tintype", "")) >= COMMANDS > {"serve", "process", "completions", "man"}
    assert completed("tintype", "back") == ["backfill"]
    assert set(completed("tintype", "keys", "")) >= {"create", "list", "revoke"}
    assert set(completed("tintype", "serve", "--st")) == {"--store-listen"}
    assert set(completed("tintype", "completions", "")) >= {"bash", "zsh", "fish"}


@pytest.mark.parametrize("shell", ["zsh", "fish", "elvish", "powershell"])
def test_other_shells_are_told_the_same(shell):
    script = tintype.run("completions", shell).stdout
    assert all(word in script for word in COMMANDS)


def test_shell_that_is_none_is_refused():
    done = tintype.run("completions", "basic")
    assert done.returncode == 2 and "possible values: bash, elvish, fish, powershell, zsh" in done.stderr


def test_every_command_has_its_page(tmp_path):
    done = tintype.run("man", "--out", tmp_path / "new/man1")
    pages = {page.name: page.read_text() for page in (tmp_path / "new/man1").iterdir()}
    assert done.returncode == 0 and f"{len(pages)} pages in {tmp_path}/new/man1" in done.stderr
    assert set(pages) >= {"tintype.1", "tintype-keys-create.1"} | {f"tintype-{command}.1" for command in COMMANDS}
    macros = {".TH", ".SH", ".TP", ".IP", ".RS", ".RE", ".PP", ".br", ".nf", ".fi", ".ie", ".el"}
    for name, page in pages.items():
        assert {line.split()[0] for line in page.splitlines() if line.startswith(".")} <= macros, name
    # Examples stay in their lines, as they are.
    unescaped = pages["tintype-serve.1"].replace("\\-", "-").replace("\\&", "")
    assert "\n.nf\n  tintype serve\n  CALLBACK_URL='http://127.0.0.1:3000/images/{id}' tintype serve\n" in unescaped
    assert tintype.run("man").stdout == pages["tintype.1"]


def test_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    done = tintype.run("man", "--out", tmp_path / "file")
    assert done.returncode == 1 and f"cannot write to {tmp_path}/file: " in done.stderr
