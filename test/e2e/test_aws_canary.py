"""What must not be seen is not, on AWS: payloads, secrets, header values, the query of a URL. Not in
what `serve` and `worker` write, not in metrics, not in a request to DynamoDB or SQS or what is left
there, not in the delivery log, not in a file."""

import json
from pathlib import Path

import pytest
from harness.access import Signer
from harness.aws_proxy import AwsProxy
from harness.canary import Secrets, make_configs, make_up, send_everything, show_keys
from harness.cli import said
from harness.events import TYPE, event, subscribe
from harness.ministack import Ministack
from harness.postgres import PASSWORD, PLAIN, Postgres
from harness.receiver import Reply
from harness.server import CANARY, Server, run
from harness.waiting import eventually, seconds
from harness.worker import Home, Worker

pytestmark = pytest.mark.timeout(seconds(120))


class Scene:
    """Both programs, and all they live on; what they ask of DynamoDB and SQS is kept."""

    def __init__(self, directory, service):
        self.ends = []
        self.aws = self._end_with(Ministack(directory / "ministack"), "stop").start()
        self.postgres = self._end_with(Postgres(), "remove").create().start()
        self.requests = []
        proxy = self._end_with(AwsProxy(self.aws.port, rewrite=self._keep), "close")
        self.home = Home(self.aws, "canary")
        self.signer = Signer()
        self.files = directory / "files"
        self.files.mkdir()
        env = {"AWS_ENDPOINT_URL_DYNAMODB": proxy.url, "AWS_ENDPOINT_URL_SQS": proxy.url,
               "GWH_LOG_URL": self.postgres.url, "TMPDIR": str(self.files)}
        said(run("init", env=self.home.environment(**env)))
        talkative = ("--log-level", "debug")
        self.server = self._end_with(Server(
            self.files / "serve", *talkative, "--auth-url", service,
            env=self.home.environment(**env, PUBLIC_CERT=self.signer.pem)), "kill").start()
        self.worker = self._end_with(Worker(
            self.home, *talkative, "--data", self.files / "worker", env=env), "kill").start()
        self.worker.wait_working()

    def _end_with(self, thing, how):
        self.ends.append(getattr(thing, how))
        return thing

    def _keep(self, operation, request, _answer):
        self.requests.append((operation, request))

    def end(self):
        for end in reversed(self.ends):
            end()

    def items(self):
        """All there are in the tables."""
        dynamodb = self.aws.client("dynamodb")
        for table in ("config", "ledger", "admin"):
            for page in dynamodb.get_paginator("scan").paginate(
                    TableName=f"{self.home.tables}-{table}"):
                yield from ((table, item) for item in page["Items"])


@pytest.fixture
def service(receivers):
    return receivers()


@pytest.fixture
def scene(tmp_path, service):
    made = object.__new__(Scene)
    try:
        made.__init__(tmp_path, service.url("/check?token=" + CANARY))
        yield made
    finally:
        made.end()


def of_type(client, app, type):
    """Deliveries of the first page: the others lead through every hour that is kept."""
    return client.get("/v1/deliveries", appId=app, eventType=type).expect(200).result["items"]


def dead(client, app, type):
    """The only delivery of that type is."""
    return [d["status"] for d in of_type(client, app, type)] == ["dead"]


def make_bad_clients(secrets, client, app, receiver):
    """Each fails in a way of its own, and shows what it should not. Their URLs, by type."""
    shown = make_up(secrets, "failing reply").encode()
    replies = {
        "DEAD": Reply(500, headers={"x-why": shown.decode()}, body=shown),
        "BAD": Reply(raw=shown + b"\r\n\r\n"),
        "CUT": Reply(reset=True),
        "GONE": Reply(410, body=shown),
    }
    query = make_up(secrets, "failing query")
    urls = {}
    for type, reply in replies.items():
        path = f"/{type}?token={query}"
        receiver.always(path, reply)
        urls[type] = receiver.url(path)
        subscribe(client, app, urls[type], type=type, retry={"schedule": []})
    return urls


def fail_at_clients(scene, secrets, client, app, urls):
    """One is tried again by hand; the one that is gone comes back."""
    for type in urls:
        scene.home.put(f"{type}/webhook.json",
                       event(app, type=type, name=make_up(secrets, "name in an object")),
                       workflowid=make_up(secrets, "metadata"))
    for type in urls:
        eventually(lambda type=type: dead(client, app, type), 20, f"{type} is dead")
    (again,) = of_type(client, app, "DEAD")
    client.retry(again["id"]).expect(202)
    eventually(lambda: client.delivery(again["id"])["attempts"] == 2, 20, "it was tried again")
    body = {"appId": app, "url": urls["GONE"]}
    client.call("POST", "/v1/targets/enable", body).expect(200)


def put_poison(scene, secrets, app):
    wrong = make_up(secrets, "poison")
    bodies = (wrong.encode(), b'{"%b":1,"%b":2}' % (wrong.encode(), wrong.encode()),
              json.dumps({"appId": [wrong], "eventType": TYPE}).encode(),
              json.dumps(event(app, eventId=wrong + "\n")).encode())
    for i, body in enumerate(bodies):
        scene.home.put(f"poison/{i}/webhook.json", body)
    scene.home.sqs.send_message(QueueUrl=scene.home.queue, MessageBody=wrong)
    left = len(bodies) + 1
    eventually(lambda: len({line["message"] for line in scene.worker.logged("message_left")}) ==
               left, 40, "all poison was seen")


def leaves(value):
    """Texts and bytes, however deep."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner)
    elif isinstance(value, str | bytes):
        yield value


def test_no_secret_is_anywhere(scene, service, receiver, app):
    secrets = Secrets()
    for name, secret in (("the log's password", PASSWORD), ("as it is", PLAIN),
                         ("the key of AWS", scene.aws.keys[1])):
        secrets.add(name, secret)
    server, worker = scene.server, scene.worker
    client = show_keys(server, secrets, app, service, scene.signer, scene.home.master_key)
    hook = make_configs(client, secrets, app, receiver)
    urls = make_bad_clients(secrets, client, app, receiver)
    receiver.script(hook, *[Reply(500, body=make_up(secrets, "reply").encode())] * 2)
    receiver.always(hook, Reply(200, body=make_up(secrets, "other reply").encode()))
    ids = send_everything(client, secrets, app)
    put_poison(scene, secrets, app)
    fail_at_clients(scene, secrets, client, app, urls)

    def delivered():
        events = [client.event(id) for id in ids]
        return all(d["status"] == "delivered" for e in events for d in e["deliveries"])

    eventually(delivered, 40)
    for id in ids:
        secrets.clean(json.dumps(client.why(id)), "why")
    for path in ("/metrics", "/readyz", "/healthz", "/v1/audit", "/v1/keys"):
        secrets.clean(server.api.get(path).expect(200).body, path)
    for process in (server.process, worker.process):
        secrets.clean_open_files(Path(f"/proc/{process.pid}"))
    rows = "SELECT * FROM webhook_delivery", "SELECT * FROM webhook_failure"
    eventually(lambda: all(scene.postgres.rows(query) for query in rows), 40, "rows in the log")
    worker.stop()
    server.stop()
    for query in rows:
        for row in scene.postgres.rows(query):
            secrets.clean(json.dumps(row), "the delivery log")
    seen = {operation for operation, _ in scene.requests}
    assert {"PutItem", "TransactWriteItems", "UpdateItem", "SendMessageBatch"} <= seen
    assert any(b"target" in body for operation, body in scene.requests
               if operation == "SendMessageBatch"), "a target was not woken"
    for operation, body in scene.requests:
        secrets.clean(body, f"a request to {operation}")
    tables = set()
    for table, item in scene.items():
        tables.add(table)
        for leaf in leaves(item):
            secrets.clean(leaf, f"{table} {item}")
    assert tables == {"config", "ledger", "admin"}
    secrets.clean_files(scene.files)
    for log in (server, worker):
        log.check_log()
        secrets.clean(log.log, "the log")
