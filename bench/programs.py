"""What the bench runs: the server, sinks and generators, each with its life and its counts."""

import contextlib
import ctypes
import http.client
import json
import os
import queue
import signal
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

STALL_S = 30  # the sink sees nothing new for this long: what is missing is lost
CONFIG_WRITERS = 16
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)

# The server's threads, by the beginning of their names; what begins otherwise is "rest".
PARTS = {"shards": "shard-", "writer": "gwh-writer", "log": "gwh-log", "merge": "gwh-merge",
         "readers": ("gwh-load", "gwh-look")}


class Failure(Exception):
    """The measurement cannot go on; the text says why."""


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def clean_environment():
    """Settings of the caller must not change what is measured."""
    drop = ("GWH_", "ALLOWED_IPS", "PUBLIC_CERT", "AWS_")
    return {k: v for k, v in os.environ.items() if not k.startswith(drop)}


def spawn(argv, **more):
    return subprocess.Popen([str(a) for a in argv], env=clean_environment(), start_new_session=True,
                            preexec_fn=die_with_parent, stdin=subprocess.DEVNULL, **more)


def end(process, grace_s=20):
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(grace_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def http_json(port, method, path, body=None, headers=None, tls=None):
    if tls:
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=tls)
    else:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        text = None if body is None else json.dumps(body)
        connection.request(method, path, text, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


class Sink:
    """`gw_sink` with the options given: Sink(build, "--hang"). `certificate`: a file that it writes,
    and speaks TLS with."""

    def __init__(self, build, *options, certificate=None):
        if certificate:
            options = ("--tls", certificate, *options)
        self.process = spawn([build / "bench/gw_sink", "--duration", 3600, *options],
                             stdout=subprocess.PIPE, text=True)
        try:
            self.port = json.loads(self.process.stdout.readline())["port"]
        except ValueError:
            raise Failure("gw_sink did not start") from None
        self.tls = ssl.create_default_context(cafile=certificate) if certificate else None
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{self.port}"

    def stats(self, reset=False):
        path = "/stats?reset=1" if reset else "/stats"
        return json.loads(http_json(self.port, "GET", path, tls=self.tls)[1])

    def wait_for(self, wanted):
        """The counts, once `wanted` different ids have come or nothing new comes any more."""
        best, moved = -1, time.monotonic()
        while True:
            unique = self.stats()["unique"]
            if unique > best:
                best, moved = unique, time.monotonic()
            if unique >= wanted or time.monotonic() - moved > STALL_S:
                time.sleep(0.5)  # repeats of what has come already
                return self.stats()
            time.sleep(0.05)

    def stop(self):
        end(self.process)
        self.process.stdout.close()


class Cpu:
    """CPU time of a process until now: {part: (user µs, kernel µs)}."""

    def __init__(self, pid):
        self.parts = {part: [0, 0] for part in [*PARTS, "rest"]}
        tick_us = 1e6 / os.sysconf("SC_CLK_TCK")
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(FileNotFoundError):  # a thread may end
                name, fields = (task / "stat").read_text().split("(", 1)[1].rsplit(")", 1)
                times = self.parts[self.part_of(name)]
                for i in range(2):
                    times[i] += int(fields.split()[11 + i]) * tick_us

    @staticmethod
    def part_of(name):
        return next((part for part, start in PARTS.items() if name.startswith(start)), "rest")

    def since(self, before):
        now = Cpu.__new__(Cpu)
        now.parts = {part: [a - b for a, b in zip(times, before.parts[part])]
                     for part, times in self.parts.items()}
        return now

    def total_us(self):
        return sum(map(sum, self.parts.values()))

    def kernel_us(self):
        return sum(times[1] for times in self.parts.values())


class Server:
    def __init__(self, build, folder, *options):
        self.data = folder / "data"
        self.data.mkdir(parents=True)
        self.log = folder / "server.log"
        self.port = free_port()
        argv = [build / "gwh", "serve", "--data", self.data, "--listen", f"127.0.0.1:{self.port}",
                "--allow-http", "--allow-nets", "127.0.0.0/8", "--allow-ports", "*", *options]
        with open(self.log, "wb") as log:
            self.process = spawn(argv, stdout=log, stderr=log)

    def failure(self, what):
        tail = self.log.read_text(errors="replace").splitlines()[-15:]
        return Failure("\n  ".join([what + "; the end of the server's log:", *tail]))

    def check_alive(self):
        if self.process.poll() is not None:
            raise self.failure(f"the server ended with {self.process.returncode}")

    def wait_ready(self):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            self.check_alive()
            with contextlib.suppress(OSError, http.client.HTTPException):
                if http_json(self.port, "GET", "/readyz")[0] == 200:
                    break
            time.sleep(0.05)
        else:
            raise self.failure("the server is not ready after 30 s")
        appid, appkey = (self.data / "admin.key").read_text().strip().split(":", 1)
        self.headers = {"appid": appid, "appkey": appkey}

    def write_configs(self, method, configs):
        """POST or PATCH of each, from several connections at once."""
        left = queue.SimpleQueue()
        for config in configs:
            left.put({"eventType": "*", **config})
        wrong = []

        def work():
            headers = {"content-type": "application/json", **self.headers}
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
            with contextlib.closing(connection), contextlib.suppress(queue.Empty):
                while not wrong:
                    connection.request(method, "/v1/config", json.dumps(left.get_nowait()), headers)
                    answer = connection.getresponse()
                    body = answer.read()
                    if answer.status not in (200, 201):
                        wrong.append(f"{answer.status} {body[:300]!r}")

        threads = [threading.Thread(target=work) for _ in range(CONFIG_WRITERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if wrong or not left.empty():
            raise self.failure(f"{method} of a config answered {wrong[:1]}")

    def cpu(self):
        return Cpu(self.process.pid)

    def peak_mib(self):
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
        return 0

    def stop(self):
        end(self.process)


class Load:
    """`gw_load` at work; its report when it has ended."""

    def __init__(self, build, url, *options):
        self.process = spawn([build / "bench/gw_load", "--url", url, *options],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def report(self):
        try:
            out, err = self.process.communicate()
        finally:
            end(self.process, 0)
        if self.process.returncode != 0:
            raise Failure(f"gw_load ended with {self.process.returncode}: {err or out}")
        return json.loads(out)


def read_records(path, bytes_of):
    """(run, bytes) of each; a record is run and count (u64 each), then bytes_of(count) bytes."""
    data, at = path.read_bytes() if path.exists() else b"", 0
    while at < len(data):
        run, count = (int.from_bytes(data[i:i + 8], "little") for i in (at, at + 8))
        at += 16
        yield run, data[at:at + bytes_of(count)]
        at += bytes_of(count)


def read_bitmaps(path):
    for run, data in read_records(path, lambda bits: (bits + 7) // 8):
        yield run, int.from_bytes(data, "little")


def read_times(path):
    for run, data in read_records(path, lambda count: 8 * count):
        yield run, memoryview(data).cast("Q")
