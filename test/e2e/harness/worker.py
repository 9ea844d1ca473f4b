"""`gwh worker` as a process, and what it lives on: queues, a bucket whose notices come by them, tables."""

import base64
import contextlib
import json
import os
import signal
import subprocess
import threading

from .ministack import REGION
from .server import CANARY, GWH, LENIENT, REPORTS, _parsed, check_line, run
from .waiting import eventually, seconds

BUCKET = "my-events"


class Home:
    """Everything of AWS's that workers share."""

    def __init__(self, aws, name="home", receives=5, tables_of=None):
        self.aws, self.name = aws, name
        self.tables = tables_of.tables if tables_of else name
        self.sqs, self.s3 = aws.client("sqs"), aws.client("s3")
        self.bucket = f"{BUCKET}-{name}"
        self.master_key = (tables_of.master_key if tables_of
                           else base64.b64encode(os.urandom(32)).decode())
        self.admin_key = f"admin:{os.urandom(12).hex()}"
        self.dead = self._queue("dead", {})
        arn = self._arn(self.dead)
        redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": receives})
        self.queue = self._queue("events", {"RedrivePolicy": redrive})
        self.wakes = self._queue("wakes", {"RedrivePolicy": redrive})
        self.sqs.set_queue_attributes(QueueUrl=self.queue, Attributes={"Policy": json.dumps({
            "Version": "2012-10-17", "Statement": [{
                "Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"},
                "Action": "sqs:SendMessage", "Resource": self._arn(self.queue)}]})})
        self.s3.create_bucket(Bucket=self.bucket,
                              CreateBucketConfiguration={"LocationConstraint": REGION})
        self.s3.put_bucket_notification_configuration(
            Bucket=self.bucket, NotificationConfiguration={"QueueConfigurations": [
                {"QueueArn": self._arn(self.queue), "Events": ["s3:ObjectCreated:*"]}]})

    def _queue(self, what, attributes):
        return self.sqs.create_queue(QueueName=f"{self.name}-{what}",
                                     Attributes=attributes)["QueueUrl"]

    def _arn(self, queue):
        return self.sqs.get_queue_attributes(
            QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]

    def environment(self, **more):
        mine = {"GWH_STORE": "aws", "GWH_TABLES": self.tables, "GWH_MASTER_KEY": self.master_key,
                "GWH_QUEUE_URL": self.queue, "GWH_WAKE_QUEUE_URL": self.wakes,
                "GWH_BUCKETS": self.bucket, "GWH_EVENTS_BUCKET": self.bucket,
                "GWH_ADMIN_KEY": self.admin_key}
        return self.aws.environment(**{**mine, **more})

    def init(self, **more):
        done = run("init", env=self.environment(**more))
        assert done.returncode == 0, done.stderr
        return self

    def put(self, key, event, **metadata):
        """As a producer does it."""
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body, Metadata=metadata)

    def count(self, queue):
        """Messages in it: those that are seen, in hand, or delayed."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible",
                 "ApproximateNumberOfMessagesDelayed"]
        got = self.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
        return sum(int(got[name]) for name in names)

    def wait_empty(self, timeout=60):
        eventually(lambda: self.count(self.queue) == 0 and self.count(self.wakes) == 0, timeout,
                   "the queues are empty")


@contextlib.contextmanager
def running(home):
    """A worker for tests that need one, and nothing of it."""
    worker = Worker(home).start()
    try:
        yield worker
        worker.stop()
        worker.check_log()
    finally:
        worker.kill()
        print(worker.log)


class Worker:
    """Processes may come and go."""

    def __init__(self, home, *flags, env=None):
        self.home = home
        self.flags = [*LENIENT, "--grace", "5", *map(str, flags)]
        self.env = {**home.environment(), **(env or {})}
        self.lines = []
        self.process = None

    def start(self):
        self.is_asked = False
        self.process = subprocess.Popen(
            [GWH, "worker", *self.flags], env=self.env, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.reader = threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True)
        self.reader.start()
        return self

    def _read(self, stream):
        for raw in stream:
            self.lines.append(raw.decode("utf-8", "replace").rstrip("\n"))
        stream.close()

    def wait_working(self):
        eventually(lambda: self.logged("working"), 30, "the worker is working")
        return self

    def logged(self, event):
        return [line for line in map(_parsed, self.lines) if line and line.get("event") == event]

    @property
    def log(self):
        return "\n".join(self.lines)

    def wait(self, timeout=30):
        code = self.process.wait(seconds(timeout))
        self.reader.join(seconds(5))
        return code

    def signal(self, number=signal.SIGTERM):
        self.is_asked = True
        self.process.send_signal(number)

    def stop(self, timeout=60):
        """An orderly end: exit 0."""
        self.ask_to_stop()
        if self.process and self.process.poll() is None:
            assert self.wait(timeout) == 0, self.log

    def ask_to_stop(self):
        if self.process and self.process.poll() is None and not self.is_asked:
            self.signal()

    def kill(self):
        """kill -9."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.wait()

    def check_log(self):
        assert not REPORTS.search(self.log), self.log
        assert CANARY not in self.log, "a payload or a secret is in the log"
        assert self.home.master_key not in self.log
        for line in self.lines:
            if not line.startswith("gwh worker: ") and '"_aws"' not in line:
                check_line(line)
