"""The promise, under kill -9: whoever was answered 202 has an event that arrives, signed, and is
found; an acknowledged change of a config is never lost; no eventId becomes two events.

GWH_CRASH_ROUNDS is how often the server is killed in each test (few by default), GWH_CRASH_SEED
repeats a run."""

import json
import os
import random
import threading
import time

import pytest

from harness import signature
from harness.api import Connection
from harness.events import TYPE, attempted, event, settled, subscribe
from harness.receiver import Reply
from harness.waiting import eventually, seconds

ROUNDS = int(os.environ.get("GWH_CRASH_ROUNDS", "5"))
SEED = int(os.environ.get("GWH_CRASH_SEED") or random.randrange(1 << 32))
EVENTS_A_ROUND = 600  # of all producers, so that a fast machine does not make a long test
RETRY = {"schedule": [0] + [1] * 23, "timeoutMs": 5000}

pytestmark = pytest.mark.timeout(seconds(60 + 30 * ROUNDS))


class Producer(threading.Thread):
    """Posts one event after the other; an event that got no answer is posted again, with the same
    eventId, until it gets one."""

    def __init__(self, world, name, number):
        super().__init__(daemon=True)
        self.world = world
        self.app = name
        self.prefix = f"{name}-{number}"
        self.acked = {}  # eventId -> id
        self.bodies = {}  # eventId -> the bytes
        self.again = 0
        self.failure = None

    def run(self):
        try:
            count = 0
            while not self.world.over.is_set():
                if not self.world.budget():
                    time.sleep(0.005)
                    continue
                event_id = f"{self.prefix}-{count}"
                body = json.dumps(event(self.app, eventId=event_id, n=count)).encode()
                self.bodies[event_id] = body
                self.post(event_id, body)
                count += 1
        except BaseException as failure:
            self.failure = failure

    def post(self, event_id, body):
        for answer in self.answers("/v1/events", lambda: body):
            if answer.status == 503:
                time.sleep(0.02)
                continue
            self.taken(event_id, answer.expect(202).result)
            return

    def taken(self, event_id, result):
        assert not result.get("payloadDiffers"), result
        self.acked[event_id] = result["id"]

    def answers(self, path, body):
        """Posts again and again, and yields what is answered."""
        connection, address = None, None
        while not self.world.over.is_set():
            try:
                if connection is None or address != self.world.server.address:
                    address = self.world.server.address
                    if address is None:
                        time.sleep(0.005)
                        continue
                    connection = Connection(address, self.world.server.api.headers)
                answer = connection.call("POST", path, body())
            except Exception:  # cut off: nobody knows
                connection = None
                self.again += 1
                time.sleep(0.005)
                continue
            yield answer


class Batcher(Producer):
    """The same, many events in a request: each line has an answer of its own, or none."""

    BATCH = 60

    def run(self):
        try:
            count = 0
            while not self.world.over.is_set():
                batch = {}
                while len(batch) < self.BATCH and self.world.budget():
                    event_id = f"{self.prefix}-{count}"
                    body = event(self.app, eventId=event_id, n=count)
                    batch[event_id] = json.dumps(body).encode()
                    count += 1
                self.bodies.update(batch)
                if batch:
                    self.post_all(batch)
                else:
                    time.sleep(0.005)
        except BaseException as failure:
            self.failure = failure

    def post_all(self, batch):
        for answer in self.answers("/v1/events/batch", lambda: b"\n".join(batch.values())):
            if answer.status == 503:
                time.sleep(0.02)
                continue
            lines = [json.loads(line) for line in answer.expect(200).body.splitlines()]
            assert len(lines) == len(batch)
            for event_id, line in zip(list(batch), lines):
                if line["statusCode"] == 202:
                    assert line["result"]["eventId"] == event_id
                    self.taken(event_id, line["result"])
                    del batch[event_id]
                else:
                    assert line["statusCode"] == 503, line
            if not batch:
                return


class Writer(threading.Thread):
    """Changes a config again and again, and knows what was acknowledged."""

    def __init__(self, world, name):
        super().__init__(daemon=True)
        self.world = world
        self.app = name
        self.tried = self.acked = 0
        self.failure = None

    def run(self):
        try:
            while not self.world.over.is_set():
                self.tried += 1
                body = {"appId": self.app, "eventType": TYPE, "product": str(self.tried)}
                try:
                    with self.world.server.api.connect() as connection:
                        answer = connection.call("PATCH", "/v1/config", body)
                except Exception:
                    time.sleep(0.005)
                    continue
                if answer.status != 503:
                    answer.expect(200)
                    self.acked = self.tried
                time.sleep(0.01)
        except BaseException as failure:
            self.failure = failure

    def check(self):
        """While nothing changes: the last change that was acknowledged, or one that was not."""
        found = self.world.server.api.config(self.app, TYPE).expect(200).result
        assert self.acked <= int(found["product"] or 0) <= self.tried


class World:
    def __init__(self, server, receiver, app, apps=4, producers=6, producer=Producer):
        self.random = random.Random(SEED)
        print(f"seed {SEED}, {ROUNDS} rounds")
        self.server = server.start()
        self.receiver = receiver
        self.over = threading.Event()
        self.lock = threading.Lock()
        self.left = 0
        self.apps = [f"{app}-{n}" for n in range(apps)]
        self.secrets = {
            name: subscribe(server.api, name, receiver.url(f"/{name}"), retry=RETRY)["secret"]
            for name in self.apps
        }
        self.producers = [producer(self, self.apps[n % apps], n) for n in range(producers)]
        self.writer = Writer(self, self.apps[0])

    def budget(self):
        with self.lock:
            self.left -= 1
            return self.left >= 0

    def go(self):
        for thread in [*self.producers, self.writer]:
            thread.start()

    def load(self, events=EVENTS_A_ROUND, within=0.5):
        """A round's work, and a random moment in the midst of it."""
        with self.lock:
            self.left = events
        before = sum(len(p.acked) for p in self.producers)
        eventually(lambda: sum(len(p.acked) for p in self.producers) > before + 20)
        time.sleep(self.random.uniform(0, within))

    def crash(self):
        self.server.address = None  # nobody is to call whoever gets the port next
        self.server.kill()
        for _ in range(self.random.choice([0, 0, 1, 2])):  # also while it is recovering
            self.server.launch()
            time.sleep(self.random.uniform(0, 0.15))
            self.server.kill()

    def finish(self):
        """Lets everybody come to an answer, then looks whether all is as promised."""
        with self.lock:
            self.left = 0
        waiting = lambda: any(len(p.acked) < len(p.bodies) for p in self.producers)  # noqa: E731
        eventually(lambda: self.failed() or not waiting(), 60, "every event has an answer")
        self.over.set()
        for thread in [*self.producers, self.writer]:
            thread.join(seconds(30))
        assert not self.failed(), self.failed()
        self.check_arrival()
        self.check_records()
        self.writer.check()

    def failed(self):
        return [t.failure for t in [*self.producers, self.writer] if t.failure]

    def check_arrival(self):
        acked = {id: (p, e) for p in self.producers for e, id in p.acked.items()}
        assert len(acked) == sum(len(p.acked) for p in self.producers), "two eventIds, one id"
        eventually(
            lambda: not acked.keys() - {r.id for r in self.receiver.requests()},
            90, "every acknowledged event arrived",
        )  # fmt: skip
        eventually(self.nothing_waits, 60)
        requests = self.receiver.requests()
        attempts = {}
        for at, request in enumerate(requests):
            assert request.id in acked, "an event nobody was told of, though its producer asked on"
            producer, event_id = acked[request.id]
            assert request.path == f"/{producer.app}"
            assert request.body == producer.bodies[event_id]
            assert signature.is_signed(request, self.secrets[producer.app])
            if at % 50 == 0:
                signature.check(request, self.secrets[producer.app])
            assert request.attempt >= attempts.get(request.id, 1)
            attempts[request.id] = request.attempt
        twice = len(requests) - len({(r.id, r.attempt) for r in requests})
        print(
            f"{len(acked)} acknowledged, all arrived; {len(requests)} requests, "
            f"{twice} of them an attempt that was made again; "
            f"{sum(p.again for p in self.producers)} posts without an answer"
        )

    def nothing_waits(self):
        page = self.server.api.get("/v1/deliveries", status="pending", limit=1).expect(200).result
        return not page["items"] and not page["next"]

    def check_records(self):
        """What was answered is what is found."""
        with self.server.api.connect() as connection:
            for producer in self.producers:
                for event_id, id in producer.acked.items():
                    found = connection.call("GET", f"/v1/events/{id}").expect(200).result
                    assert found["eventId"] == event_id and found["appId"] == producer.app
                    (delivery,) = found["deliveries"]
                    assert delivery["status"] == "delivered", found
        self.server.restart()
        assert self.nothing_waits()
        everything = self.server.api.deliveries(limit=250)
        assert len(everything) == sum(len(p.acked) for p in self.producers)


def test_kill_9_under_load(servers, receiver, app):
    world = World(servers(), receiver, app)
    world.go()
    for _ in range(ROUNDS):
        world.load()
        world.crash()
        world.server.start()
        assert not world.failed(), world.failed()
    world.finish()


def test_kill_9_in_the_midst_of_batches(servers, receiver, app):
    """Every line that was answered 202 is an event that arrives, whatever became of the others."""
    world = World(servers(), receiver, app, producer=Batcher)
    world.go()
    for _ in range(ROUNDS):
        world.load(2 * EVENTS_A_ROUND, within=0.05)  # they are over soon
        world.crash()
        world.server.start()
        assert not world.failed(), world.failed()
    world.finish()


def test_kill_9_while_clients_fail(servers, receiver, app):
    """Retries in every state: answered 500, cut off, hanging, waiting for their time."""
    world = World(servers(), receiver, app)
    dice = random.Random(SEED)

    def moody(request):
        kind = dice.random()
        if kind < 0.2:
            return Reply(500)
        if kind < 0.25:
            return Reply(reset=True)
        return Reply(delay=0.3 if kind < 0.27 else 0)

    for name in world.apps:
        receiver.always(f"/{name}", moody)
    world.go()
    for _ in range(ROUNDS):
        world.load()
        world.crash()
        world.server.start()
        assert not world.failed(), world.failed()
    for name in world.apps:
        receiver.always(f"/{name}", Reply())
    world.finish()


def test_kill_9_while_the_client_is_down(servers, receiver, app):
    """Everything waits when the server dies, and some of it has failed before."""
    world = World(servers(), receiver, app)
    world.go()
    for _ in range(ROUNDS):
        world.load()
        receiver.down()
        world.load()
        world.crash()
        world.server.start()
        assert not world.failed(), world.failed()
        receiver.up()
    world.finish()


def test_kill_9_with_a_backlog(servers, receiver, app):
    """More waits than memory may hold; the ledger has the rest."""
    server = servers("--memory-deliveries", "64").start()
    receiver.down()
    made = subscribe(server.api, app, receiver.url(), retry=RETRY)
    with server.api.connect() as connection:
        sent = {
            connection.call("POST", "/v1/events", event(app, n=n)).expect(202).result["id"]
            for n in range(400)
        }
    server.kill()
    server.start()
    server.kill()
    receiver.up()
    server.start()
    eventually(lambda: {r.id for r in receiver.requests()} == sent, 60)
    assert all(signature.is_signed(r, made["secret"]) for r in receiver.requests())
    eventually(lambda: not server.api.deliveries(appId=app, status="pending"), 60)
    assert len(server.api.deliveries(appId=app, status="delivered")) == 400


def test_what_was_answered_by_hand_outlives_kill_9(servers, receiver, app):
    """A manual retry, a deletion, a deactivation: answered, so done."""
    server = servers().start()
    for number in range(ROUNDS):
        name = f"{app}-{number}"
        receiver.always(f"/{name}", 500)
        for type, schedule in [("DEAD", []), ("WAIT", [60]), ("GONE", [60]), ("HELD", [60])]:
            url = receiver.url(f"/{name}")
            subscribe(server.api, name, url, type=type, retry={"schedule": schedule})
        sent = {}
        for type in ("DEAD", "WAIT", "GONE", "HELD"):
            (accepted,) = server.api.send(event(name, type=type))["deliveries"]
            sent[type] = accepted["id"]
            attempted(server.api, accepted["id"], 1)
        receiver.always(f"/{name}", Reply(hang=True))
        server.api.retry(sent["DEAD"]).expect(202)
        server.api.retry(sent["WAIT"]).expect(202)
        server.api.patch(name, "HELD", isActive=False).expect(200)
        server.api.delete(name, "GONE").expect(200)
        server.kill()
        receiver.always(f"/{name}", 200)
        server.start()
        for type, status in [
            ("DEAD", "delivered"), ("WAIT", "delivered"), ("GONE", "cancelled"), ("HELD", "held"),
        ]:  # fmt: skip
            found = settled(server.api, sent[type], status)
            assert found["attempts"] == (2 if status == "delivered" else 1)
