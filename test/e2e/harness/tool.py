"""A program that is built beside the binary under test and answers each line of JSON with one."""

import json
import subprocess
from pathlib import Path

from .server import GWH


class Tool:
    path = ""  # below the build folder

    def __init__(self, env=None):
        self.process = subprocess.Popen([Path(GWH).parent / self.path], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, encoding="utf-8",
                                        env=env)

    def ask(self, op, **request):
        self.process.stdin.write(json.dumps({"op": op, **request}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"the tool ended with {self.process.wait()}"
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        assert self.process.wait() == 0
