"""The pages of docs/ that come from the program's tables are what it says now; the man page is good
roff; the completions complete, in each shell itself, everything that the help pages tell."""

import re
import subprocess

import pytest

from harness.cli import failed, said
from harness.server import GWH, ROOT, clean_environment, run
from harness.waiting import seconds

pytestmark = pytest.mark.one_thread

PAGES = {
    "docs/gwh.1": "man",
    "docs/settings.md": "settings",
    "docs/metrics.md": "metrics",
    "deploy/sql/postgresql.sql": "sql-postgresql",
    "deploy/sql/redshift.sql": "sql-redshift",
}


@pytest.mark.parametrize("file", PAGES)
def test_pages_are_what_the_program_says(file):
    stored = (ROOT / file).read_text()
    assert stored == said(run("reference", PAGES[file])), f"{file}: run `make docs`"


def test_man_page_is_good_roff():
    page = run("reference", "man").stdout
    plain = ["groff", "-man", "-ww", "-Tutf8", "-P-cbou"]
    done = subprocess.run(plain, input=page, capture_output=True, timeout=seconds(30))
    assert done.returncode == 0 and not done.stderr, done.stderr
    shown = done.stdout.decode()
    for words in ("gwh config create", "--body-encoding hex|base64", "GWH_ADMIN_KEY", "whsec_…",
                  "--filter '{\"status\":[\"done\"]}' --block customer.name \\\n"):  # fmt: skip
        assert words in shown, words


def test_usage():
    failed(run("completion", "tcsh"), 2, "completion", "bash, zsh or fish", "tcsh")
    failed(run("reference", "poem"), 2, "reference", "man", "poem")


def test_bash_completion_is_good_shell():
    script = run("completion", "bash").stdout
    done = subprocess.run(
        ["shellcheck", "-s", "bash", "-"], input=script, capture_output=True, timeout=seconds(60)
    )
    assert done.returncode == 0, done.stdout.decode()


# ── Completions ──────────────────────────────────────────────────────────────────────────────────


def all_commands():
    page = said(run("help")).split("\nCommands\n")[1].split("\n\n")[0]
    return [re.match(r"  (\S+( \S+)?)", line)[1] for line in page.splitlines()]


def options_of(command):
    """What its own help page tells."""
    page = said(run(*command.split(), "--help")).split("\nExample\n")[0]
    return {*re.findall(r"^  (--[a-z0-9-]+)", page, re.MULTILINE), "--help"}


def shell(*command):
    done = subprocess.run(
        command, capture_output=True, env=clean_environment(GWH=GWH), timeout=seconds(60)
    )
    assert done.returncode == 0 and not done.stderr, (command, done)
    return done.stdout.decode().splitlines()


BASH = """
source <("$GWH" completion bash) || exit 3
[ "$(complete -p gwh)" = "complete -o default -F _gwh gwh" ] || exit 4
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_gwh
printf '%s\\n' "${COMPREPLY[@]}"
"""


def bash(*words):
    return {line for line in shell("bash", "--norc", "-c", BASH, "-", "gwh", *words) if line}


def fish(*words):
    line = " ".join(("gwh", *words))
    script = f"$GWH completion fish | source; complete -C '{line}'"
    return {line.split("\t")[0] for line in shell("fish", "--no-config", "-c", script)}


ZSH = """
compdef() { [[ "$*" == "_gwh gwh" ]] || exit 4 }
_describe() { [[ $1 != -o ]] || shift; print -rl -- "${(@P)2}" }
_files() { }
source <($GWH completion zsh) || exit 3
words=("$@") CURRENT=$#
_gwh
"""


def zsh(*words):
    """What it gives to the completion system, which works at a terminal only."""
    lines = shell("zsh", "-f", "-c", ZSH, "-", "gwh", *words)
    return {word for line in lines if (word := line.split(":")[0]).startswith(words[-1])}


@pytest.mark.parametrize("complete", [bash, zsh, fish])
def test_every_command_and_option_is_offered(complete):
    commands = all_commands()
    assert complete("") >= {command.split()[0] for command in commands}
    for command in commands:
        first, *second = command.split()
        if second:
            assert set(second) <= complete(first, "")
        assert complete(*command.split(), "--") == options_of(command), command


@pytest.mark.parametrize("complete", [bash, zsh, fish])
def test_values_are_offered(complete):
    assert complete("simulate", "a") == {"audit-portal"}
    assert complete("completion", "") >= {"bash", "zsh", "fish"}
    assert complete("config", "create", "--body-encoding", "") == {"hex", "base64"}
    assert complete("serve", "--log-level", "w") == {"warn"}
    assert complete("serve", "--allow-http", "--allow-n") == {"--allow-nets"}
    assert complete("serve", "--allow-http", "t") == {"true"}
    assert complete("conf") == {"config"}
    assert complete("config", "up") == {"update"}
    assert complete("nonsense", "") == set() or complete is fish
