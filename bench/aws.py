#!/usr/bin/env python3
"""What one `gwh worker` does on this machine, and what an event costs in calls to AWS.

    bench/aws.py [--events N] [--json]

Servers that stand for S3, SQS and DynamoDB (gw_aws_fake) have N events of 1 KiB ready, for one target
(gw_sink) that answers 200 at once. Counted are calls, bytes of requests, and the units that DynamoDB
would charge, for each event. They answer in microseconds, AWS in milliseconds: the rate tells what the
worker's own work costs, and how many events it would keep under way. Exit 1 when an event was lost."""

import argparse
import base64
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import programs

BUILD = Path(__file__).resolve().parent.parent / "build"
BUCKET, KEY, APP = "bench-events", "admin:bench-admin-key", "bench"
LENIENT = ["--allow-http", "--allow-nets", "127.0.0.0/8", "--allow-ports", "*"]


class Home:
    """The fakes and the sink, and the environment of whoever works on them."""

    def __init__(self, events):
        self.fake = programs.spawn([BUILD / "bench/gw_aws_fake", events],
                                   stdout=subprocess.PIPE, text=True)
        self.port = json.loads(self.fake.stdout.readline())["port"]
        self.sink = programs.Sink(BUILD)
        url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            **programs.clean_environment(), "AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "GWH_STORE": "aws",
            "GWH_MASTER_KEY": base64.b64encode(os.urandom(32)).decode(), "GWH_ADMIN_KEY": KEY,
            "GWH_TABLES": "bench", "GWH_QUEUE_URL": f"{url}/000000000000/events",
            "GWH_EVENTS_BUCKET": BUCKET, "GWH_BUCKETS": BUCKET}

    def start(self, *argv, log):
        with open(log, "wb") as out:
            return subprocess.Popen([BUILD / "gwh", *map(str, argv)], env=self.environment,
                                    stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                    preexec_fn=programs.die_with_parent)

    def stats(self):
        return json.loads(programs.http_json(self.port, "GET", "/stats")[1])

    def stop(self):
        self.sink.stop()
        programs.end(self.fake)
        self.fake.stdout.close()


def set_up(home, folder):
    """Tables and the config, by the commands that anybody would use."""
    log = folder / "set-up.log"
    if home.start("init", log=log).wait(60) != 0:
        raise programs.Failure(f"gwh init failed: {log.read_text()}")
    port = programs.free_port()
    serve = home.start("serve", "--listen", f"127.0.0.1:{port}", "--data", folder / "data",
                       *LENIENT, log=log)
    appid, appkey = KEY.split(":")
    config = {"appId": APP, "eventType": "*", "webhookUrl": home.sink.url + "/hook",
              "maxInFlight": 1000}
    deadline = time.monotonic() + 30
    status, body = 0, b"no answer"
    while status not in (201, 409) and time.monotonic() < deadline and serve.poll() is None:
        with contextlib.suppress(OSError):
            status, body = programs.http_json(port, "POST", "/v1/config", config,
                                              {"appid": appid, "appkey": appkey})
        time.sleep(0.1)
    programs.end(serve)
    if status not in (201, 409):
        raise programs.Failure(f"the config was answered {status} {body!r}: {log.read_text()}")


def measure(home, folder, events):
    before = home.stats()
    log = folder / "worker.log"
    worker = home.start("worker", *LENIENT, "--messages", 1000, log=log)
    cpu = programs.Cpu(worker.pid)
    began = moved = None
    done = -1
    while done < events:
        now = home.stats()
        if began is None and now["handed_out"] > 0:
            began, cpu = time.monotonic(), programs.Cpu(worker.pid)
        if now["deleted"] > done:
            done, moved = now["deleted"], time.monotonic()
        if worker.poll() is not None or time.monotonic() - moved > programs.STALL_S:
            break
        time.sleep(0.02)
    took = moved - (began or moved)
    used = programs.Cpu(worker.pid).since(cpu) if worker.poll() is None else None
    fake = programs.Cpu(home.fake.pid).total_us()
    programs.end(worker)
    got, after = home.sink.stats()["unique"], home.stats()
    if got < events:
        tail = log.read_text(errors="replace").splitlines()[-10:]
        raise programs.Failure("\n  ".join([f"{events - got} of {events} events were lost", *tail]))
    return {"events": events, "seconds": took, "events_per_s": events / took,
            "worker_cpu_us": used.total_us() / events, "fakes_cpu_us": fake / events,
            **per_event(before, after, events)}


def per_event(before, after, events):
    calls = {}
    for name, one in after["calls"].items():
        was = before["calls"].get(name, {"calls": 0, "bytes": 0})
        count = one["calls"] - was["calls"]
        if count:
            calls[name] = {"calls": count / events,
                           "bytes": (one["bytes"] - was["bytes"]) / events}
    return {"calls": calls,
            "write_units": (after["write_units"] - before["write_units"]) / events,
            "read_units": (after["read_units"] - before["read_units"]) / events}


def report(found):
    print(f"{found['events']} events in {found['seconds']:.1f} s: "
          f"{found['events_per_s']:.0f} a second by one worker, beside the fakes and the sink on "
          f"{os.cpu_count()} cores")
    print(f"CPU an event: worker {found['worker_cpu_us']:.0f} µs, fakes "
          f"{found['fakes_cpu_us']:.0f} µs\n")
    print(f"{'an event costs':28}{'calls':>8}{'bytes':>8}")
    for name, one in sorted(found["calls"].items(), key=lambda item: -item[1]["calls"]):
        print(f"{name:28}{one['calls']:8.3f}{one['bytes']:8.0f}")
    print(f"\nDynamoDB would charge {found['write_units']:.2f} write units and "
          f"{found['read_units']:.3f} read units")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=20000)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    home = Home(args.events)
    try:
        with tempfile.TemporaryDirectory(dir=BUILD, prefix="bench-aws.") as folder:
            set_up(home, Path(folder))
            found = measure(home, Path(folder), args.events)
    except programs.Failure as failure:
        print(f"bench: {failure}", file=sys.stderr)
        return 1
    finally:
        home.stop()
    if args.json:
        print(json.dumps(found))
    else:
        report(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
