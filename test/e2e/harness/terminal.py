"""A command on a terminal of its own."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import threading

from .server import GWH, clean_environment
from .waiting import eventually, seconds


class Terminal:
    """Runs `gwh` with standard output and standard error on a terminal."""

    def __init__(self, *args, env=None, columns=100):
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        self.text = ""
        self.process = subprocess.Popen(
            [GWH, *map(str, args)],
            env=clean_environment(**{"TERM": "xterm", **(env or {})}),
            stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs,
        )  # fmt: skip
        os.close(theirs)
        self.reader = threading.Thread(target=self._read, args=(ours,), daemon=True)
        self.reader.start()

    def _read(self, ours):
        try:
            while part := os.read(ours, 65536):
                self.text += part.decode()
        except OSError:  # the other side is closed
            pass
        os.close(ours)

    def find(self, pattern):
        return eventually(lambda: re.search(pattern, self.text), what=f"{pattern} on the terminal")

    def end(self):
        """Waits for it; all that it wrote, and its exit code."""
        try:
            code = self.process.wait(seconds(20))
        finally:
            self.process.kill()
        self.reader.join(seconds(20))
        return self.text.replace("\r\n", "\n"), code
