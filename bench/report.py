"""What is shown of the numbers, and the bars they are held against."""

import json
import operator
import statistics
from dataclasses import dataclass

from programs import PARTS
from stages import HANGING, MANY, WELL


@dataclass
class Row:
    key: str
    label: str
    unit: str = ""
    digits: int = 0
    bar: tuple = ()  # (">=" or "<=", value)
    total: bool = False  # judge and show the sum of all runs, not their median

    def values(self, runs):
        return [n[self.key] for n in runs if self.key in n]

    def value(self, runs):
        values = self.values(runs)
        return sum(values) if self.total else statistics.median(values)

    def holds(self, runs):
        compare = {">=": operator.ge, "<=": operator.le}
        return not self.bar or compare[self.bar[0]](self.value(runs), self.bar[1])

    def text(self, value):
        return f"{value:,.{self.digits}f}"


ROWS = [
    Row("raw_rate", "raw pair: generator to sink", "/s"),
    Row("raw_load_cpu_us", "  generator CPU a request", "µs", 1),
    Row("raw_sink_cpu_us", "  sink CPU a request", "µs", 1),
    Row("accept_rate", "full speed: accepted", "/s"),
    Row("deliver_rate", "full speed: delivered", "/s"),
    Row("ratio", "  delivered ÷ raw", "", 3, (">=", 0.15)),
    Row("server_cpu_us", "  server CPU a delivery", "µs", 1, ("<=", 50)),
    Row("kernel_cpu_us", "  of which the kernel takes", "µs", 1),
    Row("peak_mib", "  server peak memory", "MiB"),
    Row("https_rate", "full speed over TLS: delivered", "/s"),
    Row("https_gain", "  ÷ without TLS", "", 2),
    Row("https_cpu_us", "  server CPU a delivery", "µs", 1),
    Row("fan_rate", "full speed, 3 targets an event: delivered", "/s"),
    Row("fan_gain", "  ÷ with 1", "", 2),
    Row("fan_cpu_us", "  server CPU a delivery", "µs", 1),
    Row("accept_p50", "paced: accept p50", "ms", 2),
    Row("accept_p99", "  accept p99", "ms", 2, ("<=", 10)),
    Row("accept_max", "  accept max", "ms", 2),
    Row("arrive_p50", "paced: accept to receive p50", "ms", 2, ("<=", 1)),
    Row("arrive_p99", "  accept to receive p99", "ms", 2, ("<=", 5)),
    Row("arrive_max", "  accept to receive max", "ms", 2),
    Row("receive_p50", "paced: send to receive p50", "ms", 2),
    Row("receive_p99", "  send to receive p99", "ms", 2),
    Row("receive_max", "  send to receive max", "ms", 2),
    Row("lag_p99", "  of which generator late, p99", "ms", 2),
    Row("single_rate", "single posts that go nowhere", "/s"),
    Row("batch_rate", "  the same in batches", "/s"),
    Row("batch_gain", "  batches ÷ single posts", "", 2),
    Row("batch_cpu_us", "  server CPU an event in a batch", "µs", 1),
    Row("configs_rate", f"{MANY:,} apps: configs made", "/s"),
    Row("targets_rate", f"full speed to {MANY:,} targets: delivered", "/s"),
    Row("targets_cpu_us", "  server CPU a delivery", "µs", 1),
    Row("targets_peak_mib", "  server peak memory", "MiB"),
    Row("alone_p50", "a healthy target alone: send to receive p50", "ms", 2),
    Row("alone_p99", "  p99", "ms", 2),
    Row("beside_p50", f"  beside {HANGING} that hang and one that flaps: p50", "ms", 2),
    Row("beside_p99", "  p99", "ms", 2),
    Row("beside_p99_ratio", "  p99 beside ÷ p99 alone", "", 2, ("<=", 1.5)),
    Row("bad_attempts", "  attempts at those", ""),
    Row("well_alone_rate", f"full speed to {WELL:,} healthy targets: delivered", "/s"),
    Row("well_alone_cpu_us", "  server CPU a delivery", "µs", 1),
    Row("well_among_rate", f"  while {MANY - WELL:,} others hang", "/s"),
    Row("well_among_cpu_us", "  server CPU a delivery, the others' included", "µs", 1),
    Row("well_kept", "  ÷ alone", "", 2, (">=", 0.9)),
    Row("hanging_attempts", "  attempts at the others", ""),
    Row("hanging_peak_mib", "  server peak memory", "MiB"),
    Row("others", "cores kept busy by others", "", 2),
    Row("lost", "lost: accepted, never received", "", 0, ("<=", 0), total=True),
    Row("duplicates", "received twice", "", 0, total=True),
    Row("refused", "not accepted", "", 0, total=True),
]


def shown_rows(runs):
    return [row for row in ROWS if row.values(runs)]


def align(lines, right):
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    for line in lines:
        cells = [f"{c:>{w}}" if i in right else f"{c:<{w}}"
                 for i, (c, w) in enumerate(zip(line, widths))]
        print("  ".join(cells).rstrip())


def print_parts(runs):
    """Who in the server used the CPU of a delivery at full speed."""
    lines = [("CPU µs a delivery", "user", "kernel")]
    for part in [*PARTS, "rest"]:
        keys = [f"{part}_{kind}_us" for kind in ("user", "kernel")]
        values = [[n[key] for n in runs if key in n] for key in keys]
        if values[0]:
            lines.append((f"  {part}", *(f"{statistics.median(v):.1f}" for v in values)))
    if len(lines) > 1:
        print()
        align(lines, (1, 2))


def print_table(runs, about):
    print(f"{about['cores']} cores ({about['cpu']}), Linux {about['kernel']}, load average "
          f"{about['load_average']} before\n{about['connections']} connections, "
          f"{about['body_bytes']} bytes a body; full speed {about['seconds']:g} s, paced "
          f"{about['rate']}/s for {about['paced_seconds']:g} s; median of the rounds, sums for "
          f"the last three\n")
    rows = shown_rows(runs)
    lines = [("", "result", "", "rounds", "bar", "")]
    for row in rows:
        bar = f"{row.bar[0]} {row.bar[1]:g}" if row.bar else ""
        verdict = ("met" if row.holds(runs) else "MISSED") if row.bar else ""
        lines.append((row.label, row.text(row.value(runs)), row.unit,
                      "  ".join(map(row.text, row.values(runs))), bar, verdict))
    align(lines, (1, 3))
    print_parts(runs)
    for row in rows:
        if not row.holds(runs):
            print(f"\nMISSED: {row.label.strip()} is {row.text(row.value(runs))} {row.unit}, "
                  f"the bar is {row.bar[0]} {row.bar[1]:g}")


def print_json(runs, about):
    rows = shown_rows(runs)
    result = {row.key: row.value(runs) for row in rows}
    bars = [{"key": row.key, "bar": " ".join(map(str, row.bar)), "met": row.holds(runs)}
            for row in rows if row.bar]
    print(json.dumps({"environment": about, "result": result, "bars": bars, "runs": runs},
                     indent=2))


def all_met(runs):
    return all(row.holds(runs) for row in shown_rows(runs))
