#!/usr/bin/env python3
"""Measures gwh against the raw speed of a generator and a sink on the same machine.

One round runs the stages of stages.ROUND in order, on one fresh data directory; rounds are repeated
and the median of each number is judged. Then each stage of stages.ALONE runs once. A new measurement
is a function there and one or more rows in report.ROWS.

Nothing is pinned to a core and nothing leaves 127.0.0.1. Whatever was started or written is gone at
the end, on Ctrl-C too.
"""

import argparse
import contextlib
import os
import platform
import resource
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import report
import stages
from programs import Failure


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


def derive(n):
    """What takes two stages."""
    for key, above, below in (("ratio", "deliver_rate", "raw_rate"),
                              ("https_gain", "https_rate", "deliver_rate"),
                              ("fan_gain", "fan_rate", "deliver_rate")):
        if above in n and below in n:
            n[key] = n[above] / n[below]


def run(options, title, todo):
    """These stages, on one fresh directory."""
    with contextlib.ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="bench-", dir=options.build))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        others = Others()
        place = stages.Place(options, folder, stack)
        numbers = {}
        for stage in todo:
            print(f"{title}: {stage.__name__}", file=sys.stderr, flush=True)
            numbers.update(stage(place))
        place.stop()
        numbers.update(place.arrivals(), others=others.cores(), lost=place.lost(),
                       duplicates=place.duplicates, refused=place.refused)
        derive(numbers)
    return numbers


def run_all(options):
    chosen = [stage for stage in stages.ROUND if stage.__name__ in options.stages]
    runs = []
    for i in range(options.rounds if chosen else 0):
        runs.append(run(options, f"round {i + 1} of {options.rounds}", chosen))
    for stage in stages.ALONE:
        if stage.__name__ in options.stages:
            runs.append(run(options, "once", [stage]))
    return runs


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


# ---- life ----


def on_interrupts(handler):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, handler)


def interrupt(*_):
    on_interrupts(signal.SIG_IGN)  # a second one must not disturb the cleaning up
    raise KeyboardInterrupt


def parse_options():
    names = [stage.__name__ for stage in stages.ROUND + stages.ALONE]
    p = argparse.ArgumentParser(description="Measures gwh; see bench/README.md.",
                                epilog="Stages: " + " ".join(names))
    p.add_argument("stages", nargs="*", metavar="STAGE", help="only these (all)")
    p.add_argument("--build", type=Path, default=Path(__file__).resolve().parent.parent / "build",
                   help="build directory (build)")
    p.add_argument("--rounds", type=int, default=3, help="median of so many (3)")
    p.add_argument("--seconds", type=float, default=5, help="of each stage at full speed (5)")
    p.add_argument("--rate", type=int, default=1000, help="events a second when paced (1000)")
    p.add_argument("--paced-seconds", type=float, default=10, help="(10)")
    p.add_argument("--neighbour-seconds", type=float, default=60,
                   help="of the healthy target, half of them with others that are not (60)")
    p.add_argument("--connections", type=int, default=64, help="(64)")
    p.add_argument("--body-bytes", type=int, default=1024, help="(1024)")
    p.add_argument("--batch", type=int, default=100, help="events a request in batches (100)")
    p.add_argument("--json", action="store_true", help="for programs")
    p.add_argument("--strict", action="store_true", help="exit 1 when a bar is missed, too")
    options = p.parse_args()
    for name in options.stages:
        if name not in names:
            p.error(f"no stage is called {name!r}; there are {' '.join(names)}")
    options.stages = options.stages or names
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
    try:
        on_interrupts(interrupt)
        runs = run_all(options)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except Failure as failure:
        print(f"bench: {failure}", file=sys.stderr)
        return 1
    (report.print_json if options.json else report.print_table)(runs, about)
    if any(n["lost"] for n in runs):
        return 1
    return 1 if options.strict and not report.all_met(runs) else 0


if __name__ == "__main__":
    sys.exit(main())
