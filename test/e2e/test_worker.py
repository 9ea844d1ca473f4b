"""`gwh worker` on an emulator of AWS: from an object in S3 to the receiver, by the real binary."""

import json
import os
import random
import signal
import time

import pytest
from harness import emf
from harness.aws_proxy import ChaosProxy
from harness.receiver import Reply
from harness.server import CANARY, Server, run
from harness.waiting import eventually
from harness.worker import Home, Worker, running

pytestmark = pytest.mark.one_thread

TYPE = "FINISH_TRANSACTION_WEBHOOK"
PLAIN = os.environ.get("GWH_VARIANT", "plain") == "plain"


@pytest.fixture(scope="module")
def home(aws):
    return Home(aws).init()


@pytest.fixture(scope="module")
def server(home, tmp_path_factory):
    """The API: configs are made by it, and what became of an event is asked of it."""
    server = Server(tmp_path_factory.mktemp("serve"), env=home.environment())
    try:
        server.start()
        yield server
        server.stop()
        server.check_log()
    finally:
        server.kill()


@pytest.fixture
def workers(home):
    made = []

    def make(*flags, **kwargs):
        made.append(Worker(kwargs.pop("home", home), *flags, **kwargs))
        return made[-1]

    make.made = made
    try:
        yield make
        for worker in made:  # together: each waits for its long poll
            worker.ask_to_stop()
        for worker in made:
            worker.stop()
            worker.check_log()
    finally:
        for worker in made:
            worker.kill()
            print(worker.log)


@pytest.fixture(scope="module")
def worker(home):
    with running(home) as worker:
        yield worker


@pytest.fixture
def config(server, receiver, app):
    def make(path="/hook", **members):
        body = {"appId": app, "eventType": TYPE, "webhookUrl": receiver.url(path), **members}
        return server.api.call("POST", "/v1/config", body).expect(201).result
    return make


def notice(bucket, *keys):
    return json.dumps({"Records": [
        {"eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
         "s3": {"bucket": {"name": bucket}, "object": {"key": key, "size": 1}}} for key in keys]})


def event(app, number, **members):
    return {"appId": app, "eventType": TYPE, "eventId": f"e-{number}", "name": CANARY, **members}


def deliveries(server, app, number):
    answer = server.api.get("/v1/events", appId=app, eventId=f"e-{number}")
    return answer.result["deliveries"] if answer.status == 200 else []


def states(server, app, number):
    return [row["status"] for row in deliveries(server, app, number)]


# First those that must be alone with the queue: the others share a worker.

def test_the_end_gives_back_what_has_not_begun(home, workers, config, receiver, app, server):
    """One place at the target: the others wait behind one that hangs, and go out after the end."""
    config(maxInFlight=1, retry={"schedule": [1], "timeoutMs": 30000})
    receiver.script("/hook", Reply(delay=2))
    worker = workers().start()
    for i in range(20):
        home.put(f"{i}/webhook.json", event(app, i))
    receiver.one("/hook")
    worker.signal()
    assert worker.wait() == 0
    before = len(receiver.requests("/hook"))
    assert before < 20
    assert home.count(home.queue) + home.count(home.wakes) >= 20 - before
    workers().start()
    receiver.wait(20, "/hook", timeout=120)
    home.wait_empty(timeout=120)
    assert len({r.id for r in receiver.requests("/hook")}) == 20
    assert len(receiver.requests("/hook")) == 20


def test_metrics(home, workers, config, receiver, app):
    config(retry={"schedule": [0]})
    receiver.script("/hook", 500)
    worker = workers().start()
    home.put("x/webhook.json", event(app, 1))
    receiver.wait(2, "/hook", timeout=60)
    home.wait_empty()
    worker.stop()
    told = {name: count for name, count in emf.sums(worker.lines).items() if count}
    assert told == {"EventsReceived": 1, "DeliveriesDelivered": 1, "AttemptsFailed": 1}


def test_a_second_signal_ends_it_at_once(aws, home, workers, config, receiver, app):
    """Queues of its own: what a poll brings that nobody waits for any more is hidden for a while."""
    home = Home(aws, "second", tables_of=home)
    config()
    receiver.always("/hook", Reply(hang=True))
    worker = workers("--grace", 3600, home=home).start()
    home.put("x/webhook.json", event(app, 1))
    receiver.one("/hook")
    worker.signal()
    eventually(lambda: worker.logged("draining"))
    worker.signal(signal.SIGINT)
    assert worker.wait() == 1
    receiver.always("/hook", 200)


def test_when_aws_misbehaves_each_arrives_once(aws, home, workers, config, receiver, app):
    """One request of ten goes wrong, of S3, SQS and DynamoDB; one webhook of ten fails."""
    home = Home(aws, "chaos", receives=100, tables_of=home)
    config(retry={"schedule": [1, 1, 1, 1, 1, 1], "timeoutMs": 1000})
    proxy = ChaosProxy(aws.port, 10)
    dice = random.Random(1)
    receiver.always("/hook", lambda request: 500 if dice.randrange(10) == 0 else 200)
    try:
        workers(home=home, env={"AWS_ENDPOINT_URL": proxy.url}).start()
        for i in range(60):
            home.put(f"{i}/webhook.json", event(app, i))
        eventually(lambda: len({r.id for r in receiver.requests("/hook")}) == 60, 180)
    finally:
        proxy.percent = 0
        for worker in workers.made:
            worker.stop()
        proxy.close()
    assert proxy.wrong > 20
    assert {json.loads(r.body)["eventId"] for r in receiver.requests("/hook")} == {
        f"e-{i}" for i in range(60)}
    attempts = sorted((r.id, r.attempt) for r in receiver.requests("/hook"))
    assert len(attempts) == len(set(attempts)), "an attempt was made twice"


def test_none_is_lost_by_workers_that_are_killed(aws, home, workers, config, receiver, app):
    """What a killed worker had in hand is hidden for two minutes; saying all of it again, as reconcile
    does, finds what is there. A webhook that was answered well comes again only after a kill."""
    home = Home(aws, "killed", receives=100, tables_of=home)
    config(retry={"schedule": [1, 1, 1], "timeoutMs": 1000})
    events, kills, dice = 24 if PLAIN else 6, [], random.Random(1)
    both = [workers(home=home).start(), workers(home=home).start()]
    for i in range(events):
        home.put(f"{i}/webhook.json", event(app, i))
        worker = both[i % 2].wait_working()
        time.sleep(dice.random() / 10)  # at any moment of what it does
        worker.kill()
        kills.append(time.monotonic())
        worker.lines.clear()
        worker.start()
    said = 0

    def all_came():
        nonlocal said
        came = {json.loads(r.body)["eventId"] for r in receiver.requests("/hook")}
        missing = [i for i in range(events) if f"e-{i}" not in came]
        if time.monotonic() - said > 6:  # longer than a poll of one that was killed goes on
            said = time.monotonic()
            for i in missing:
                home.put(f"{i}/webhook.json", event(app, i))
        return not missing

    eventually(all_came, 120, "all have come")
    first = {}
    for request in receiver.requests("/hook"):
        before = first.setdefault(request.id, request.at)
        assert before == request.at or any(before - 1 < kill < request.at for kill in kills)


def test_an_object_reaches_its_receiver(home, worker, config, receiver, app):
    config(workflows={"kyc": [receiver.url("/kyc"), receiver.url("/kyc2")]},
           additionalMetadataKeys=["workflowId"])
    home.put("audit/a+b/ü %2F/webhook.json", event(app, 1))
    home.put("audit/2/webhook.json", event(app, 2), workflowid="kyc")
    first = receiver.one("/hook")
    assert json.loads(first.body) == event(app, 1)
    assert first.attempt == 1
    assert receiver.one("/kyc").id == receiver.one("/kyc2").id != first.id
    home.wait_empty()
    assert len(receiver.requests()) == 3


def test_a_failure_is_tried_again_by_a_wake(home, worker, config, receiver, app, server):
    config(retry={"schedule": [1, 1], "timeoutMs": 1000})
    receiver.script("/hook", 500, 503)
    home.put("x/webhook.json", event(app, 1))
    assert [r.attempt for r in receiver.wait(3, "/hook", timeout=60)] == [1, 2, 3]
    home.wait_empty()
    assert states(server, app, 1) == ["delivered"]
    assert len(receiver.requests("/hook")) == 3


def test_duplicate_notices_are_delivered_once(home, worker, workers, config, receiver, app):
    """Who finds that another has it comes back when the lease is over, and finds it done."""
    config(retry={"schedule": [], "timeoutMs": 1000})
    workers().start().wait_working()
    for _ in range(5):
        home.put("same/webhook.json", event(app, 1))
    receiver.one("/hook")
    eventually(lambda: home.count(home.queue) == 0, 60, "the notices are gone")
    home.wait_empty(timeout=180)
    assert len(receiver.requests("/hook")) == 1


def test_poison_is_set_aside(aws, workers):
    home = Home(aws, "poison", receives=2).init()
    worker = workers("--max-body-bytes", 2048, home=home,
                     env={"GWH_BUCKETS": f"{home.bucket}=one+two"}).start()
    bodies = [b"no json", b'{"appId":"one"}', b"[" * 100, b'{"a":"' + b"x" * 4000 + b'"}',
              json.dumps({"appId": "three", "eventType": TYPE, "name": CANARY}).encode()]
    for i, body in enumerate(bodies):
        home.put(f"{i}/webhook.json", body)
    home.sqs.send_message(QueueUrl=home.queue, MessageBody="no notice")
    home.sqs.send_message(QueueUrl=home.queue, MessageBody=notice("elsewhere", "key"))
    home.sqs.send_message(QueueUrl=home.queue, MessageBody=notice(home.bucket, "not-there"))
    bad = len(bodies) + 3
    eventually(lambda: home.count(home.dead) == bad, 60, "all are in the dead letter queue")
    left = worker.logged("message_left")
    assert {line["end"] for line in left} == {"poison"} and len(left) == 2 * bad
    assert sum("wrong_app" in line["why"] for line in left) == 2
    assert home.count(home.queue) == 0


def test_a_test_event_is_acknowledged(home, worker):
    home.sqs.send_message(QueueUrl=home.queue, MessageBody=json.dumps(
        {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": home.bucket}))
    home.wait_empty()
    assert not worker.logged("message_left")


def test_a_missing_setting_is_named(home):
    for name, setting in (("GWH_QUEUE_URL", "--queue-url"), ("GWH_BUCKETS", "--buckets"),
                          ("GWH_MASTER_KEY", "GWH_MASTER_KEY")):
        env = home.environment()
        del env[name]
        done = run("worker", env=env)
        assert done.returncode == 2
        assert done.stderr.decode().startswith(f"gwh worker: {setting}: must be")
        assert len(done.stderr.splitlines()) == 1
    done = run("worker", env=home.environment(GWH_BUCKETS="a,,b"))
    assert done.returncode == 2, done.stderr
