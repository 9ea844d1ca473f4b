"""`gwh serve` as a process: started on a free port, stopped or killed, its log read and checked."""

import json
import os
import re
import signal
import subprocess
import threading
from pathlib import Path

from .api import Api
from .waiting import eventually, seconds

ROOT = Path(__file__).resolve().parents[3]
GWH = str(Path(os.environ.get("GWH_BIN") or ROOT / "build" / "gwh").resolve())

# In payloads and secrets of tests; nothing that holds it may be in a log, a metric or an error.
CANARY = "canary-7c1f"

# A test's receiver is neither https nor public.
LENIENT = ("--allow-http", "--allow-nets", "127.0.0.0/8", "--allow-ports", "*")

REPORTS = re.compile(
    r"AddressSanitizer|LeakSanitizer|ThreadSanitizer|UndefinedBehavior|runtime error:"
)

SANITIZERS = ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS")
INHERITED = ("PATH", "HOME", "TMPDIR", *SANITIZERS)


def clean_environment(**more):
    """Nothing of the developer's own settings."""
    kept = {name: os.environ[name] for name in INHERITED if name in os.environ}
    return {**kept, **more}


def run(*args, input=None, env=None, cwd=None, timeout=60):
    """One `gwh` command to its end."""
    return subprocess.run(
        [GWH, *map(str, args)],
        input=input,
        env=env or clean_environment(),
        cwd=cwd,
        capture_output=True,
        timeout=seconds(timeout),
    )


class Server:
    """One data directory, and the process that serves it; processes may come and go."""

    def __init__(
        self, data, *flags, lenient=True, grace=1, shards=2, env=None, ignore_file_limit=False
    ):
        self.data = Path(data)
        self.flags = [*(LENIENT if lenient else ()), "--grace", str(grace), "--shards", str(shards)]
        self.flags += map(str, flags)
        self.env = clean_environment(**(env or {}))
        self.ignore_file_limit = ignore_file_limit  # a file too large is an error, not a signal
        self.process = None
        self.address = None
        self.lines = []  # of all processes so far
        self.reader = None

    # ── life ────────────────────────────────────────────────────────────────────────────────────

    def launch(self, *flags):
        """Starts the process and waits for nothing."""
        command = [GWH, "serve", "--data", str(self.data), "--listen", "127.0.0.1:0"]
        return self._run([*command, *self.flags, *map(str, flags)])

    def _run(self, command):
        self.process = subprocess.Popen(
            command,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            restore_signals=not self.ignore_file_limit,
        )
        self.address = None
        self.reader = threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True)
        self.reader.start()
        return self

    def start(self, *flags):
        self.launch(*flags)
        eventually(
            lambda: self.address or self.process.poll() is not None, 30, "the server is listening"
        )
        assert self.address, f"the server did not start:\n{self.log}"
        return self

    def _read(self, stream):
        for raw in stream:
            line = raw.decode("utf-8", "replace").rstrip("\n")
            self.lines.append(line)
            if '"event":"listening"' in line and (address := _address(line)):
                self.address = address
        stream.close()

    def signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def wait(self, timeout=30):
        """The exit code of the process, once it has ended by itself."""
        code = self.process.wait(seconds(timeout))
        self.reader.join(seconds(5))
        return code

    def stop(self):
        """An orderly end: exit 0, nothing to complain about."""
        if self.process is None or self.process.returncode is not None:
            return
        if self.process.poll() is None:
            self.signal()
        try:
            code = self.wait()
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the server did not stop:\n{self.log}") from None
        assert code == 0, f"the server ended with {code}:\n{self.log}"

    def kill(self):
        """kill -9."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.wait()

    def restart(self, *flags):
        self.stop()
        return self.start(*flags)

    # ── what it says ────────────────────────────────────────────────────────────────────────────

    @property
    def log(self):
        return "\n".join(self.lines)

    def logged(self, event):
        """The fields of all log lines of that event."""
        return [line for line in map(_parsed, self.lines) if line and line.get("event") == event]

    def check_log(self):
        log = self.log
        assert not REPORTS.search(log), log
        assert CANARY not in log, "a payload or a secret is in the log"
        for line in self.lines:
            if not line.startswith("gwh serve: "):  # a setting that is refused
                check_line(line)
        key = self.key.rpartition(":")[2]
        assert not key or key not in log, "the admin key is in the log"

    # ── talking to it ───────────────────────────────────────────────────────────────────────────

    @property
    def key(self):
        if "GWH_ADMIN_KEY" in self.env:
            return self.env["GWH_ADMIN_KEY"]
        file = self.data / "admin.key"
        return file.read_text().strip() if file.exists() else ""

    @property
    def api(self):
        return Api(self.address, self.key)

    @property
    def url(self):
        return "http://%s:%d" % self.address

    def cli(self, *args, input=None, env=None, **kwargs):
        """A client command that talks to this server."""
        told = {"GWH_URL": self.url, "GWH_KEY": self.key, **(env or {})}
        if isinstance(input, str):
            input = input.encode()
        return run(*args, input=input, env=clean_environment(**told), **kwargs)


LEVELS = ("error", "warn", "info", "debug")


def check_line(line):
    """One event, one line: JSON with a time, a level and a name, and plain values beside them."""
    fields = json.loads(line, object_pairs_hook=list)
    names = [name for name, _ in fields]
    assert len(set(names)) == len(names), line
    # A signal handler cannot tell the time.
    assert names[:3] == ["at", "level", "event"] or names == ["level", "event"], line
    assert dict(fields)["level"] in LEVELS, line
    assert re.fullmatch(r"[a-z0-9_]+", dict(fields)["event"]), line
    assert not any(isinstance(value, list | dict) for _, value in fields), line


def _parsed(line):
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _address(line):
    fields = _parsed(line) or {}
    address, port = fields.get("address") or "", fields.get("port")
    if port is None:
        address, _, port = address.rpartition(":")
    return (address.strip("[]"), int(port)) if address and port else None
