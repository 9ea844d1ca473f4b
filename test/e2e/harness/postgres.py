"""PostgreSQL as a process of the test's own: an empty server on a free port, that may be stopped and
started again, and the statements it was sent."""

import contextlib
import json
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from .ministack import free_port
from .server import clean_environment
from .waiting import eventually, seconds

PASSWORD = "p%40ss-3f9c-only-the-server-knows"  # percent-encoded, as it stands in a URL
PLAIN = PASSWORD.replace("%40", "@")
BIN = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))


def _owner():
    """PostgreSQL refuses to run as root: then it is somebody who owns nothing else."""
    if os.getuid() != 0:
        return {}
    user = pwd.getpwnam("nobody")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


class Postgres:
    def __init__(self):
        self.owner = _owner()
        # Not below pytest's directories, which only their owner may enter.
        self.directory = Path(tempfile.mkdtemp(prefix="gwh-pg-"))
        if self.owner:
            os.chown(self.directory, self.owner["user"], self.owner["group"])
        self.log = self.directory / "log"
        self.process = None
        self.port = None

    def create(self):
        password = self.directory / "password"
        password.write_text(PLAIN)
        password.chmod(0o644)
        subprocess.run(
            [BIN / "initdb", "-D", self.directory / "data", "-U", "gwh", "-A", "scram-sha-256",
             "--pwfile", password, "--no-sync", "-E", "UTF8", "--locale=C"],
            check=True, capture_output=True, timeout=seconds(120), cwd=self.directory,
            env=clean_environment(), **self.owner,
        )  # fmt: skip
        return self

    def start(self):
        """On the port it had, if it had one: for its clients it is the same server again."""
        for _ in range(5):
            self.port = self.port or free_port()
            options = {
                "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off",
                "log_statement": "all", "log_timezone": "UTC", "timezone": "Asia/Tokyo",
            }  # fmt: skip
            given = [word for item in options.items() for word in ("-c", "=".join(item))]
            with open(self.log, "a", encoding="utf-8") as log:
                self.process = subprocess.Popen(
                    [BIN / "postgres", "-D", self.directory / "data", "-p", str(self.port), *given],
                    stdout=log, stderr=log, cwd=self.directory, env=clean_environment(),
                    **self.owner,
                )  # fmt: skip
            if eventually(self._settled, timeout=60) == "ready":
                return self
            self.port = None
        raise AssertionError(self.log.read_text())

    def _settled(self):
        if self.process.poll() is not None:
            return "ended"
        return "ready" if self.psql("SELECT 1").returncode == 0 else None

    def stop(self):
        """At once, whoever is connected."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(signal.SIGINT)
            self.process.wait(timeout=seconds(60))

    def remove(self):
        try:
            self.stop()
        finally:
            if self.process and self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            shutil.rmtree(self.directory, ignore_errors=True)

    def children(self):
        found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self.process.pid)],
                               capture_output=True, check=False, timeout=seconds(30))  # fmt: skip
        return [int(pid) for pid in found.stdout.split()]

    def signal(self, number):
        """To the server and all its processes."""
        for pid in (self.process.pid, *self.children()):
            with contextlib.suppress(ProcessLookupError):  # the connection of a client that left
                os.kill(pid, number)

    @property
    def url(self):
        return f"postgres://gwh:{PASSWORD}@127.0.0.1:{self.port}/postgres"

    def psql(self, sql):
        where = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "gwh", "-d", "postgres"]
        return subprocess.run(
            [BIN / "psql", "-XAtqw", "-v", "ON_ERROR_STOP=1", *where, "-f", "-"],
            input=sql.encode(), capture_output=True, timeout=seconds(60), check=False,
            env=clean_environment(PGPASSWORD=PLAIN, PGTZ="UTC"),
        )  # fmt: skip

    def run(self, sql):
        done = self.psql(sql)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def rows(self, query):
        """Of one query, each a dict."""
        said = self.run(f"SELECT row_to_json(r) FROM ({query}) AS r")
        return [json.loads(line) for line in said.splitlines()]

    def statements(self):
        """All that clients sent so far; psql's simple queries are not among them."""
        text = self.log.read_text()
        entry = r"^\d{4}-\d\d-\d\d \S+ UTC \[\d+\] "
        found = re.findall(
            entry + r"LOG:  execute \S+: (.*?)(?=^\d{4}-\d\d-\d\d |\Z)", text, re.M | re.S
        )
        return [statement.strip() for statement in found]
