"""The stages: each measures one thing, on what Place gives it, and returns a few numbers.

Stages of ROUND run one after the other on one fresh data directory, round after round; each of ALONE
runs once, on a directory of its own.
"""

import statistics
import time

from programs import Failure, Load, Server, Sink, read_bitmaps, read_times

FAN = 3
MANY = 10_000
WELL = 1_000  # of MANY, the others hang
HANGING, SLICE_S = 50, 3  # neighbours: how many hang, and how long one phase takes
HANGING_SLICES = 5  # hanging: so often each of both
NEIGHBOUR_RATE = 200  # events a second for all that are not well


class Place:
    """One fresh directory, a server, sinks, and what the stages need of them."""

    def __init__(self, options, folder, stack):
        self.options = options
        self.build = options.build
        self.folder = folder
        self.stack = stack
        self.seen = folder / "seen"
        self.acked = folder / "acked"
        self.sent_times = folder / "sent_times"
        self.seen_times = folder / "seen_times"
        self.refused = self.duplicates = self.short = 0
        self.sinks = []
        self.plain = self.sink("--times", self.seen_times)
        certificate = folder / "sink.pem"
        self.tls = self.sink(certificate=certificate)
        self.servers = []
        self.server = self.start_server("--ca-file", certificate)

    def sink(self, *options, **more):
        sink = Sink(self.build, "--seen", self.seen, *options, **more)
        self.stack.callback(sink.stop)
        self.sinks.append(sink)
        return sink

    def start_server(self, *options):
        server = Server(self.build, self.folder / f"server-{len(self.servers)}", *options)
        self.stack.callback(server.stop)
        self.servers.append(server)
        server.wait_ready()
        return server

    def configs(self, app, targets, server=None, **fields):
        """Configs of app-1, app-2, …: one for each URL."""
        (server or self.server).write_configs("POST", [
            {"appId": f"{app}-{i + 1}", "webhookUrl": url, "maxInFlight": 256, **fields}
            for i, url in enumerate(targets)])

    def patch(self, app, count, **fields):
        self.server.write_configs("PATCH", [{"appId": f"{app}-{i + 1}", **fields}
                                            for i in range(count)])

    def start_load(self, port, app, *more, path="/v1/events", headers=None):
        argv = ["--connections", self.options.connections, "--body-bytes", self.options.body_bytes,
                "--app", app, "--acked", self.acked, *more]  # the last of one name counts
        for name, value in (headers or {}).items():
            argv += ["--header", f"{name}: {value}"]
        return Load(self.build, f"http://127.0.0.1:{port}{path}", *argv)

    def start_events(self, app, *more, path="/v1/events", server=None):
        server = server or self.server
        return self.start_load(server.port, app, *more, path=path, headers=server.headers)

    def events(self, app, *more, **where):
        report = self.start_events(app, *more, **where).report()
        for server in self.servers:
            server.check_alive()
        self.refused += report["status_other"] + report["failed"] + report["unsent"]
        return report

    def deliver(self, sink, app, *more, fan=1, server=None):
        """Events through the server, until each has come `fan` times: both reports, and the CPU."""
        server = server or self.server
        sink.stats(reset=True)
        before = server.cpu()
        sent = self.events(app, *more, server=server)
        wanted = sent["status_2xx"] * fan
        got = sink.wait_for(wanted)
        self.duplicates += got["duplicates"]
        self.short += wanted - min(wanted, got["unique"])
        return sent, got, server.cpu().since(before)

    def stop(self):
        for program in self.servers + self.sinks:
            program.stop()

    def lost(self):
        """Events answered with 2xx that no sink ever saw, id by id; beside them what came less often
        than it should. Only once all have ended."""
        seen = {}
        for run, bits in read_bitmaps(self.seen):
            seen[run] = seen.get(run, 0) | bits
        acked = read_bitmaps(self.acked)
        missing = sum((bits & ~seen.get(run, 0)).bit_count() for run, bits in acked)
        return max(missing, self.short)

    def arrivals(self):
        """From the 202 to the receipt, of the paced events. A client may have it before the producer
        has read the answer: that counts as none."""
        seen = dict(read_times(self.seen_times))
        took = sorted(max(came - answered, 0) / 1e6
                      for run, times in read_times(self.sent_times)
                      for answered, came in zip(times, seen.get(run, ())) if answered and came)
        if not took:
            return {}
        return {"arrive_p50": took[len(took) // 2], "arrive_p99": took[len(took) * 99 // 100],
                "arrive_max": took[-1]}


def rate_of(sent, got):
    """Different deliveries a second, from the first send to the last receipt."""
    return got["unique"] / max((got["last_unique_ns"] - sent["first_send_ns"]) / 1e9, 1e-9)


def cpu_numbers(name, cpu, got):
    return {f"{name}_cpu_us": cpu.total_us() / max(got["unique"], 1)}


def parts_numbers(cpu, got):
    each = max(got["unique"], 1)
    numbers = {"kernel_cpu_us": cpu.kernel_us() / each,
               "kernel_share": cpu.kernel_us() / max(cpu.total_us(), 1)}
    for part, (user_us, kernel_us) in cpu.parts.items():
        numbers[f"{part}_user_us"] = user_us / each
        numbers[f"{part}_kernel_us"] = kernel_us / each
    return numbers


# ---- of a round ----


def raw(p):
    """The generator straight to the sink: the most this machine could do."""
    p.plain.stats(reset=True)
    report = p.start_load(p.plain.port, "raw", "--duration", p.options.seconds).report()
    stats = p.plain.stats()
    if report["status_other"] or report["failed"]:
        raise Failure(f"the raw pair lost requests: {report}")
    return {"raw_rate": rate_of(report, stats), "raw_load_cpu_us": report["cpu_us_per_request"],
            "raw_sink_cpu_us": stats["cpu_us_per_request"]}


def full_speed(p):
    """Closed loop through the server, until the last accepted event has arrived."""
    p.configs("full", [f"{p.plain.url}/"])
    sent, got, cpu = p.deliver(p.plain, "full", "--duration", p.options.seconds)
    return {"accept_rate": sent["rate"], "deliver_rate": rate_of(sent, got),
            "peak_mib": p.server.peak_mib(), **cpu_numbers("server", cpu, got),
            **parts_numbers(cpu, got)}


def https(p):
    """The same to a sink that speaks TLS, over connections that are kept."""
    p.configs("https", [f"{p.tls.url}/"])
    sent, got, cpu = p.deliver(p.tls, "https", "--duration", p.options.seconds)
    return {"https_rate": rate_of(sent, got), **cpu_numbers("https", cpu, got)}


def fan_out(p):
    """Each event for three targets."""
    urls = [f"{p.plain.url}/fan/{i}" for i in range(FAN)]
    p.configs("fan", urls[:1], workflows={"wide": urls}, maxInFlight=256 // FAN)
    sent, got, cpu = p.deliver(p.plain, "fan", "--workflow", "wide", "--duration",
                               p.options.seconds, fan=FAN)
    return {"fan_rate": rate_of(sent, got), **cpu_numbers("fan", cpu, got)}


def paced(p):
    """Open loop well below the limit: the latency a producer and a client would see."""
    p.configs("paced", [f"{p.plain.url}/"])
    time.sleep(1)  # what the stage before left to be tidied up
    sent, got, _ = p.deliver(p.plain, "paced", "--rate", p.options.rate, "--duration",
                             p.options.paced_seconds, "--times", p.sent_times)
    numbers = {"lag_p99": sent["lag_us"]["p99"] / 1e3}
    for point in ("p50", "p99", "max"):
        numbers[f"accept_{point}"] = sent["latency_us"][point] / 1e3
        numbers[f"receive_{point}"] = got["latency_us"][point] / 1e3
    return numbers


def batched(p):
    """Events that go nowhere, one a request, then many: what a request costs beside its event."""
    nowhere = ["--acked", "/dev/null", "--duration", p.options.seconds / 2]
    single = p.events("nobody", *nowhere)
    before = p.server.cpu()
    many = p.events("nobody", *nowhere, "--batch", p.options.batch, path="/v1/events/batch")
    cpu = p.server.cpu().since(before)
    return {"single_rate": single["rate"], "batch_rate": many["rate"],
            "batch_gain": many["rate"] / single["rate"],
            "batch_cpu_us": cpu.total_us() / max(many["status_2xx"], 1)}


# ---- alone ----


def targets(p):
    """As many apps as there are targets, in turn: nothing that is kept for one helps the next."""
    began = time.monotonic()
    p.configs("one", [f"{p.plain.url}/{i}" for i in range(MANY)])
    numbers = {"configs_rate": MANY / (time.monotonic() - began)}
    p.deliver(p.plain, "one", "--apps", MANY, "--count", MANY)  # each once: all are known now
    sent, got, cpu = p.deliver(p.plain, "one", "--apps", MANY, "--duration", p.options.seconds)
    return {**numbers, "targets_rate": rate_of(sent, got), "targets_peak_mib": p.server.peak_mib(),
            **cpu_numbers("targets", cpu, got)}


def neighbours(p):
    """A healthy target at a steady rate, with and without others that hang and flap, by turns. What
    waits for those is held while it is not their turn, and active again they count as new."""
    hang, flap = p.sink("--hang"), p.sink("--flap-ms", 700)
    p.configs("well", [f"{p.plain.url}/"])
    bad = [f"{hang.url}/{i}" for i in range(HANGING)] + [f"{flap.url}/"]
    p.configs("bad", bad, retry={"timeoutMs": 1000}, isActive=False)
    phases = {False: [], True: []}
    for i in range(max(int(p.options.neighbour_seconds / SLICE_S), 2)):
        with_bad = i % 2 == 1
        others = None
        if with_bad:
            p.patch("bad", len(bad), isActive=True)
            others = p.start_events("bad", "--apps", len(bad), "--rate", NEIGHBOUR_RATE,
                                    "--duration", SLICE_S + 2, "--acked", "/dev/null")
            time.sleep(1)
        _, got, _ = p.deliver(p.plain, "well", "--rate", p.options.rate, "--duration", SLICE_S)
        phases[with_bad].append({at: got["latency_us"][at] / 1e3 for at in ("p50", "p99")})
        if others:
            others.report()
            p.patch("bad", len(bad), isActive=False)
            time.sleep(1.5)  # what is under way then times out
    numbers = {}
    for at in ("p50", "p99"):
        for name, with_bad in (("alone", False), ("beside", True)):
            numbers[f"{name}_{at}"] = statistics.median(n[at] for n in phases[with_bad])
        numbers[f"beside_{at}_ratio"] = numbers[f"beside_{at}"] / numbers[f"alone_{at}"]
    numbers["bad_attempts"] = hang.stats()["received"] + flap.stats()["received"]
    return numbers


def hanging(p):
    """Full speed to the healthy tenth of many targets, where there are no others and where all those
    hang, each with something due all the time. Two servers, by turns; one that waits costs nothing."""
    lone, full = p.server, p.start_server()
    hosts = [p.sink("--hang") for _ in range(2)]
    p.configs("hang", [f"{hosts[i % 2].url}/{i}" for i in range(MANY - WELL)], server=full)
    for server in (lone, full):
        p.configs("well", [f"{p.plain.url}/{i}" for i in range(WELL)], server=server)
        p.deliver(p.plain, "well", "--apps", WELL, "--count", 3 * WELL, server=server)
    p.events("hang", "--apps", MANY - WELL, "--count", 3 * (MANY - WELL), "--acked", "/dev/null",
             server=full)
    rates, cpus = {lone: [], full: []}, {lone: [], full: []}
    for server in (lone, full) * HANGING_SLICES:
        sent, got, cpu = p.deliver(p.plain, "well", "--apps", WELL, "--duration",
                                   p.options.seconds / 2, server=server)
        rates[server].append(rate_of(sent, got))
        cpus[server].append(cpu.total_us() / max(got["unique"], 1))
    alone, among = (statistics.median(rates[server]) for server in (lone, full))
    return {"well_alone_rate": alone, "well_among_rate": among, "well_kept": among / alone,
            "well_alone_cpu_us": statistics.median(cpus[lone]),
            "well_among_cpu_us": statistics.median(cpus[full]),
            "hanging_attempts": sum(host.stats()["received"] for host in hosts),
            "hanging_peak_mib": full.peak_mib()}


ROUND = [raw, full_speed, https, fan_out, paced, batched]
ALONE = [targets, neighbours, hanging]
