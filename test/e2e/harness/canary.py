"""Looks for what must not be seen, in each of the forms in which it could be."""

import base64
import json
import urllib.parse


def _base64_forms(secret):
    """The middle of it, wherever among other bytes it begins."""
    for shift in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(b"\0" * shift + secret)[(shift * 8 + 5) // 6 : -4]


def forms(secret):
    """Bytes that would show it: as it is, escaped, in hex, in base64."""
    assert len(secret) >= 12, "too short to be told from chance"
    text = secret.decode("latin-1")
    yield from (secret, secret.hex().encode(), secret.hex().upper().encode())
    yield from (json.dumps(text)[1:-1].encode(), urllib.parse.quote(text, safe="").encode())
    yield from _base64_forms(secret)


class Secrets:
    """What they are called, and all that would show them."""

    def __init__(self):
        self.marks = {}

    def add(self, name, secret):
        """Returns it, so that it can be used where it is made up."""
        raw = secret if isinstance(secret, bytes) else secret.encode()
        self.marks.update({form: name for form in forms(raw)})
        return secret

    def clean(self, data, where):
        data = data if isinstance(data, bytes) else data.encode()
        seen = {name for mark, name in self.marks.items() if mark in data}
        assert not seen, f"{where} shows: {', '.join(sorted(seen))}"

    def clean_files(self, directory, but=()):
        """Of a directory; how many there were."""
        files = [f for f in directory.rglob("*") if f.is_file() and f.name not in but]
        for file in files:
            self.clean(file.read_bytes(), file.name)
        return len(files)

    def clean_open_files(self, process):
        """Of a process: also those that have no name any more; how many there were."""
        count = 0
        for fd in process.joinpath("fd").iterdir():
            if fd.is_file() and not str(fd.readlink()).endswith((".key", "/dev/null")):
                self.clean(fd.read_bytes(), str(fd.readlink()))
                count += 1
        return count
