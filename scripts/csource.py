"""What the checks of the C sources share: finding the files, blanking comments and strings."""

import pathlib
import re

_TOKEN = re.compile(
    r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)


def files(root, *suffixes):
    """The files below root/src with these suffixes, as (path relative to src, text)."""
    src = pathlib.Path(root) / "src"
    for path in sorted(src.rglob("*")):
        if path.suffix in suffixes and path.is_file():
            yield path.relative_to(src).as_posix(), path.read_text(encoding="utf-8")


def blank(text, strings=True):
    """The text with comments (and strings) blanked out, every line where it was."""

    def spaces(match):
        token = match.group()
        if token[0] in "\"'" and not strings:
            return token
        return re.sub(r"[^\n]", " ", token)

    return _TOKEN.sub(spaces, text)


def report(problems):
    """Prints the problems; the exit status."""
    for problem in problems:
        print(problem)
    return 1 if problems else 0
