#!/usr/bin/env python3
"""Measures gwh against the raw speed of a generator and a sink on the same machine.

One round runs every stage of STAGES in order, on one fresh data directory; each stage returns a
few numbers. Rounds are repeated and the median of each number is judged. A new measurement is a
function in STAGES and one or more lines in ROWS.

Nothing is pinned to a core and nothing leaves 127.0.0.1. Whatever was started or written is gone at
the end, on Ctrl-C too.
"""

import argparse
import contextlib
import ctypes
import http.client
import json
import operator
import os
import platform
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

APP = "bench"
STALL_S = 30  # the sink sees nothing new for this long: what is missing is lost
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


class Failure(Exception):
    """The measurement cannot go on; the text says why."""


# ---- programs ----


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


def http_json(port, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        text = None if body is None else json.dumps(body)
        connection.request(method, path, text, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


class Sink:
    def __init__(self, build, seen):
        self.process = spawn([build / "bench/gw_sink", "--duration", 3600, "--seen", seen],
                             stdout=subprocess.PIPE, text=True)
        try:
            self.port = json.loads(self.process.stdout.readline())["port"]
        except ValueError:
            raise Failure("gw_sink did not start") from None

    def stats(self, reset=False):
        return json.loads(http_json(self.port, "GET", "/stats?reset=1" if reset else "/stats")[1])

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


class Server:
    def __init__(self, build, folder):
        self.data = folder / "data"
        self.data.mkdir()
        self.log = folder / "server.log"
        self.port = free_port()
        argv = [build / "gwh", "serve", "--data", self.data, "--listen", f"127.0.0.1:{self.port}",
                "--allow-http", "--allow-nets", "127.0.0.0/8", "--allow-ports", "*"]
        with open(self.log, "wb") as log:
            self.process = spawn(argv, stdout=log, stderr=log)

    def failure(self, what):
        tail = self.log.read_text(errors="replace").splitlines()[-15:]
        return Failure("\n  ".join([what + "; the end of the server's log:", *tail]))

    def wait_ready(self):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise self.failure(f"the server ended with {self.process.returncode}")
            with contextlib.suppress(OSError, http.client.HTTPException):
                if http_json(self.port, "GET", "/readyz")[0] == 200:
                    break
            time.sleep(0.05)
        else:
            raise self.failure("the server is not ready after 30 s")
        appid, appkey = (self.data / "admin.key").read_text().strip().split(":", 1)
        self.headers = {"appid": appid, "appkey": appkey}

    def create_config(self, app, url, **fields):
        config = {"appId": app, "eventType": "*", "webhookUrl": url, "maxInFlight": 256, **fields}
        headers = {"content-type": "application/json", **self.headers}
        status, body = http_json(self.port, "POST", "/v1/config", config, headers)
        if status != 201:
            raise self.failure(f"creating a config answered {status} {body[:300]!r}")

    def cpu_us(self):
        """User and system time so far; the name in the second field may hold spaces."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) * 1e6 / os.sysconf("SC_CLK_TCK")

    def peak_mib(self):
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
        return 0

    def stop(self):
        end(self.process)


def cpu_of_machine_s():
    """Time not idle since boot, all cores: user nice system - - irq softirq steal."""
    fields = [int(f) for f in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")


def cpu_of_bench_s():
    """This program's, and that of the children that have ended."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


class Others:
    """How many cores the rest of the machine kept busy: above some tenths, distrust the numbers."""

    def __init__(self):
        self.wall_s, self.cpu_s = time.monotonic(), cpu_of_machine_s() - cpu_of_bench_s()

    def cores(self):
        cpu_s = cpu_of_machine_s() - cpu_of_bench_s() - self.cpu_s
        return max(cpu_s / (time.monotonic() - self.wall_s), 0)


# ---- one round ----


class Round:
    """One fresh directory, sink and server, and what the stages need of them."""

    def __init__(self, options, folder, stack):
        self.options = options
        self.build = options.build
        self.folder = folder
        self.seen = folder / "seen"
        self.acked = folder / "acked"
        self.sink = Sink(self.build, self.seen)
        stack.callback(self.sink.stop)
        self.server = Server(self.build, folder)
        stack.callback(self.server.stop)
        self.server.wait_ready()
        self.server.create_config(f"{APP}-1", f"http://127.0.0.1:{self.sink.port}/")

    def load(self, port, *more, headers=None, path="/v1/events"):
        argv = [self.build / "bench/gw_load", "--url", f"http://127.0.0.1:{port}{path}",
                "--connections", self.options.connections, "--body-bytes", self.options.body_bytes,
                "--app", APP, "--acked", self.acked, *more]  # the last of one name counts
        for name, value in (headers or {}).items():
            argv += ["--header", f"{name}: {value}"]
        process = spawn(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            out, err = process.communicate()
        finally:
            end(process, 0)
        if process.returncode != 0:
            raise Failure(f"gw_load ended with {process.returncode}: {err or out}")
        return json.loads(out)

    def load_server(self, *more, path="/v1/events"):
        result = self.load(self.server.port, *more, headers=self.server.headers, path=path)
        if self.server.process.poll() is not None:
            raise self.server.failure(f"the server ended with {self.server.process.returncode}")
        return result

    def lost(self):
        """Events answered with 2xx that the sink never saw, id by id. Only once the sink ended."""
        seen = read_bitmaps(self.seen)
        return sum((bits & ~seen.get(run, 0)).bit_count()
                   for run, bits in read_bitmaps(self.acked).items())


def read_bitmaps(path):
    """{run: bits}; a record is run and number of bits (u64 each), then the bytes."""
    maps, data, at = {}, path.read_bytes() if path.exists() else b"", 0
    while at < len(data):
        run, bits = (int.from_bytes(data[i:i + 8], "little") for i in (at, at + 8))
        at += 16 + (bits + 7) // 8
        maps[run] = int.from_bytes(data[at - (bits + 7) // 8:at], "little")
    return maps


def refused(result):
    return result["status_other"] + result["failed"] + result["unsent"]


def raw(r):
    """The generator straight to the sink: the most this machine could do."""
    result = r.load(r.sink.port, "--duration", r.options.seconds)
    stats = r.sink.stats(reset=True)
    if refused(result):
        raise Failure(f"the raw pair lost requests: {result}")
    return {
        "raw_rate": stats["unique"] / ((stats["last_unique_ns"] - result["first_send_ns"]) / 1e9),
        "raw_load_cpu_us": result["cpu_us_per_request"],
        "raw_sink_cpu_us": stats["cpu_us_per_request"],
    }


def full_speed(r):
    """Closed loop through the server, until the last accepted event has arrived."""
    r.sink.stats(reset=True)
    cpu_us = r.server.cpu_us()
    result = r.load_server("--duration", r.options.seconds)
    stats = r.sink.wait_for(result["status_2xx"])
    cpu_us = r.server.cpu_us() - cpu_us
    unique = max(stats["unique"], 1)
    return {
        "accept_rate": result["rate"],
        "deliver_rate": unique / max((stats["last_unique_ns"] - result["first_send_ns"]) / 1e9, 1e-9),
        "server_cpu_us": cpu_us / unique,
        "peak_mib": r.server.peak_mib(),
        "full_refused": refused(result),
        "full_duplicates": stats["duplicates"],
    }


def paced(r):
    """Open loop well below the limit: the latency a producer and a client would see."""
    time.sleep(1)  # what the stage before left to be tidied up
    r.sink.stats(reset=True)
    result = r.load_server("--rate", r.options.rate, "--duration", r.options.paced_seconds)
    stats = r.sink.wait_for(result["status_2xx"])
    numbers = {"paced_refused": refused(result), "paced_duplicates": stats["duplicates"],
               "lag_p99": result["lag_us"]["p99"] / 1e3}
    for point in ("p50", "p99", "max"):
        numbers[f"accept_{point}"] = result["latency_us"][point] / 1e3
        numbers[f"receive_{point}"] = stats["latency_us"][point] / 1e3
    return numbers


def batched(r):
    """Events that go nowhere, one a request, then many: what a request costs beside its event."""
    nowhere = ["--app", "nobody", "--acked", "/dev/null", "--duration", r.options.seconds / 2]
    single = r.load_server(*nowhere)
    cpu_us = r.server.cpu_us()
    many = r.load_server(*nowhere, "--batch", r.options.batch, path="/v1/events/batch")
    cpu_us = r.server.cpu_us() - cpu_us
    return {
        "single_rate": single["rate"],
        "batch_rate": many["rate"],
        "batch_gain": many["rate"] / single["rate"],
        "batch_cpu_us": cpu_us / max(many["status_2xx"], 1),
        "batch_refused": refused(single) + refused(many),
    }


STAGES = [raw, full_speed, paced, batched]


def derive(n):
    n["ratio"] = n["deliver_rate"] / n["raw_rate"]
    n["refused"] = n["full_refused"] + n["paced_refused"] + n["batch_refused"]
    n["duplicates"] = n["full_duplicates"] + n["paced_duplicates"]


def run_round(options, title):
    with contextlib.ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="bench-", dir=options.build))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        others = Others()
        r = Round(options, folder, stack)
        numbers = {}
        for stage in STAGES:
            print(f"{title}: {stage.__name__}", file=sys.stderr, flush=True)
            numbers.update(stage(r))
        r.server.stop()
        r.sink.stop()
        numbers["others"] = others.cores()
        numbers["lost"] = r.lost()
        derive(numbers)
    return numbers


# ---- report ----


@dataclass
class Row:
    key: str
    label: str
    unit: str = ""
    digits: int = 0
    bar: tuple = ()  # (">=" or "<=", value)
    total: bool = False  # judge and show the sum of the rounds, not their median

    def value(self, rounds):
        values = [n[self.key] for n in rounds]
        return sum(values) if self.total else statistics.median(values)

    def holds(self, rounds):
        compare = {">=": operator.ge, "<=": operator.le}
        return not self.bar or compare[self.bar[0]](self.value(rounds), self.bar[1])


ROWS = [
    Row("raw_rate", "raw pair: generator to sink", "/s"),
    Row("raw_load_cpu_us", "  generator CPU a request", "µs", 1),
    Row("raw_sink_cpu_us", "  sink CPU a request", "µs", 1),
    Row("accept_rate", "full speed: accepted", "/s"),
    Row("deliver_rate", "full speed: delivered", "/s"),
    Row("ratio", "  delivered ÷ raw", "", 3, (">=", 0.08)),
    Row("server_cpu_us", "  server CPU a delivery", "µs", 1, ("<=", 90)),
    Row("peak_mib", "  server peak memory", "MiB"),
    Row("accept_p50", "paced: accept p50", "ms", 2),
    Row("accept_p99", "  accept p99", "ms", 2, ("<=", 10)),
    Row("accept_max", "  accept max", "ms", 2),
    Row("receive_p50", "paced: send to receive p50", "ms", 2),
    Row("receive_p99", "  send to receive p99", "ms", 2),
    Row("receive_max", "  send to receive max", "ms", 2),
    Row("lag_p99", "  of which generator late, p99", "ms", 2),
    Row("single_rate", "single posts that go nowhere", "/s"),
    Row("batch_rate", "  the same in batches", "/s"),
    Row("batch_gain", "  batches ÷ single posts", "", 2),
    Row("batch_cpu_us", "  server CPU an event in a batch", "µs", 1),
    Row("others", "cores kept busy by others", "", 2),
    Row("lost", "lost: accepted, never received", "", 0, ("<=", 0), total=True),
    Row("duplicates", "received twice", "", 0, total=True),
    Row("refused", "not accepted", "", 0, total=True),
]


def environment(options):
    model = "unknown"
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return {"cores": os.cpu_count(), "cpu": model, "kernel": platform.release(),
            "load_average": round(os.getloadavg()[0], 2), "connections": options.connections,
            "body_bytes": options.body_bytes, "seconds": options.seconds, "rate": options.rate,
            "paced_seconds": options.paced_seconds}


def print_table(rounds, about):
    print(f"{about['cores']} cores ({about['cpu']}), Linux {about['kernel']}, load average "
          f"{about['load_average']} before\n{about['connections']} connections, "
          f"{about['body_bytes']} bytes a body; full speed {about['seconds']:g} s, paced "
          f"{about['rate']}/s for {about['paced_seconds']:g} s; median of {len(rounds)}, sums for "
          f"the last three\n")
    lines = [("", "result", "", "rounds", "bar", "")]
    for row in ROWS:
        text = [f"{n[row.key]:,.{row.digits}f}" for n in rounds]
        bar = f"{row.bar[0]} {row.bar[1]:g}" if row.bar else ""
        verdict = ("met" if row.holds(rounds) else "MISSED") if row.bar else ""
        value = f"{row.value(rounds):,.{row.digits}f}"
        lines.append((row.label, value, row.unit, "  ".join(text), bar, verdict))
    widths = [max(len(line[i]) for line in lines) for i in range(6)]
    for line in lines:
        cells = [f"{c:>{w}}" if i in (1, 3) else f"{c:<{w}}"
                 for i, (c, w) in enumerate(zip(line, widths))]
        print("  ".join(cells).rstrip())
    for row in ROWS:
        if not row.holds(rounds):
            print(f"\nMISSED: {row.label.strip()} is {row.value(rounds):,.{row.digits}f} "
                  f"{row.unit}, the bar is {row.bar[0]} {row.bar[1]:g}")


def print_json(rounds, about):
    result = {row.key: row.value(rounds) for row in ROWS}
    bars = [{"key": row.key, "bar": " ".join(map(str, row.bar)), "met": row.holds(rounds)}
            for row in ROWS if row.bar]
    print(json.dumps({"environment": about, "result": result, "bars": bars, "rounds": rounds},
                     indent=2))


# ---- life ----


def on_interrupts(handler):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, handler)


def interrupt(*_):
    on_interrupts(signal.SIG_IGN)  # a second one must not disturb the cleaning up
    raise KeyboardInterrupt


def parse_options():
    p = argparse.ArgumentParser(description="Measures gwh; see bench/README.md.")
    p.add_argument("--build", type=Path, default=Path(__file__).resolve().parent.parent / "build",
                   help="build directory (build)")
    p.add_argument("--rounds", type=int, default=3, help="median of so many (3)")
    p.add_argument("--seconds", type=float, default=5, help="of raw and of full speed (5)")
    p.add_argument("--rate", type=int, default=1000, help="events a second when paced (1000)")
    p.add_argument("--paced-seconds", type=float, default=10, help="(10)")
    p.add_argument("--connections", type=int, default=64, help="(64)")
    p.add_argument("--body-bytes", type=int, default=1024, help="(1024)")
    p.add_argument("--batch", type=int, default=100, help="events a request in batches (100)")
    p.add_argument("--json", action="store_true", help="for programs")
    p.add_argument("--strict", action="store_true", help="exit 1 when a bar is missed, too")
    options = p.parse_args()
    options.build = options.build.resolve()
    for name in ("gwh", "bench/gw_load", "bench/gw_sink"):
        if not (options.build / name).exists():
            p.error(f"{options.build / name} is missing: "
                    f"ninja -C {options.build} gwh bench_tools")
    if options.rounds < 1:
        p.error("--rounds: at least 1")
    return options


def main():
    options = parse_options()
    about = environment(options)
    rounds = []
    try:
        on_interrupts(interrupt)
        for i in range(options.rounds):
            rounds.append(run_round(options, f"round {i + 1} of {options.rounds}"))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except Failure as failure:
        print(f"bench: {failure}", file=sys.stderr)
        return 1
    (print_json if options.json else print_table)(rounds, about)
    if any(n["lost"] for n in rounds):
        return 1
    return 1 if options.strict and not all(row.holds(rounds) for row in ROWS) else 0


if __name__ == "__main__":
    sys.exit(main())
