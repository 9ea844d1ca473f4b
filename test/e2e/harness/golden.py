"""What a command says, word for word, against golden/NAME.txt."""

import difflib
from pathlib import Path

GOLDEN = Path(__file__).parents[1] / "golden"


def compare(request, name, text):
    """With --write-golden the file is written first, for git to show what changed."""
    file = GOLDEN / f"{name}.txt"
    if request.config.getoption("--write-golden"):
        GOLDEN.mkdir(exist_ok=True)
        file.write_text(text)
    wanted = file.read_text()
    difference = difflib.unified_diff(
        wanted.splitlines(), text.splitlines(), str(file), "said now", lineterm=""
    )
    assert text == wanted, "\n".join(difference)
