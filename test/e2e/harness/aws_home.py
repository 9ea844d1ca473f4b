"""The home on AWS as tests see it: `serve --store aws` with a worker beside it. It looks like any other
server; what an event's 202 does not tell there is asked for once the worker has decided it."""

import itertools
import json
import time
from datetime import UTC, datetime, timedelta

from .api import Api
from .server import Server
from .waiting import eventually
from .worker import Home, Worker

FORCE_S = 5  # a change is in force everywhere so long after its answer

_number = itertools.count(1)


def _hours_ago(hours):
    return f"{datetime.now(UTC) - timedelta(hours=hours):%Y-%m-%dT%H:%M:%SZ}"


def _app_of(body):
    if isinstance(body, str | bytes):
        try:
            body = json.loads(body)
        except ValueError:
            return None
    return body.get("appId") if isinstance(body, dict) else None


class AwsApi(Api):
    """Says what is known of an event once the worker has routed it."""

    # Of all apps of this process: those whose configs a worker may hold, and until when it may hold
    # what was before the last change.
    used, old_until = set(), {}

    def call(self, method, path, body=None, headers=None, query=None):
        if path == "/v1/deliveries" and "appId" in (query or {}):
            # An hour is a question there, and nothing of a test is older.
            query = {"from": _hours_ago(1), **query}
        is_config = path == "/v1/config" and method in ("POST", "PATCH", "DELETE")
        app = _app_of(query if method == "DELETE" else body)
        if path == "/v1/events" and method == "POST":
            time.sleep(max(0, self.old_until.get(app, 0) - time.monotonic()))
            self.used.add(app)
        answer = super().call(method, path, body, headers, query)
        if is_config and app in self.used and answer.status < 300:
            self.old_until[app] = time.monotonic() + FORCE_S
        return answer

    def routed(self, message_id):
        """The event, once a worker has decided where it goes."""
        return eventually(
            lambda: (answer := self.get(f"/v1/events/{message_id}")).status == 200 and answer.result,
            60,  # usually some milliseconds
            f"{message_id} is routed",
        )

    def send(self, event):
        result = super().send(event)
        assert (result["duplicate"], result["deliveries"], result["skipped"]) == (None,) * 3
        known = self.routed(result["id"])
        deliveries = [{"id": one["id"], "url": one["url"]} for one in known["deliveries"]]
        return {**result, "deliveries": deliveries, "skipped": known["skipped"]}


class AwsServer(Server):
    """Both processes come and go as one."""

    def __init__(self, emulator, data, *flags, log_url=None, env=None, **kwargs):
        log = {"GWH_LOG_URL": log_url} if log_url else {}
        more = {**log, **(env or {})}
        self.place = Home(emulator, name=f"t{next(_number)}").init(**log)
        super().__init__(data, *flags, env={**self.place.environment(), **more}, **kwargs)
        self.worker = Worker(self.place, env=more)

    def launch(self, *flags):
        super().launch(*flags)
        self.worker.flags = ["--data", f"{self.data}-worker", *self.flags, *map(str, flags)]
        self.worker.start().wait_working()
        return self

    def stop(self):
        """Of the worker nothing orderly is asked: it may end at any time."""
        self.worker.kill()
        super().stop()

    def restart(self, *flags):
        self.worker.stop()
        return super().restart(*flags)

    def kill(self):
        self.worker.kill()
        super().kill()

    def check_log(self):
        self.worker.check_log()
        super().check_log()

    @property
    def api(self):
        return AwsApi(self.address, self.key)
