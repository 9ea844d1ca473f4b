"""ministack, an emulator of AWS, as a process of the test's own: on a free port, with nothing in it,
checking signatures for real."""

import socket
import subprocess
import sys
from pathlib import Path

import boto3
import requests

from .server import clean_environment
from .waiting import eventually

REGION = "eu-west-1"
EVERYTHING = ('{"Version":"2012-10-17","Statement":'
              '[{"Effect":"Allow","Action":"*","Resource":"*"}]}')


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Ministack:
    def __init__(self, directory, **more):
        directory.mkdir(exist_ok=True)
        self.log = directory / "ministack.log"
        self.directory = directory
        self.more = more
        self.process = None

    def start(self):
        """Another process may have taken a port that was free; then there is another."""
        for _ in range(5):
            self.port = free_port()
            self.url = f"http://127.0.0.1:{self.port}"
            self.process = self._run()
            if eventually(self._settled, timeout=60) == "ready":
                break
        assert self.process.poll() is None, self.log.read_text()
        self._make_user()
        return self

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *error):
        self.stop()

    def _run(self):
        env = clean_environment(
            BIND_HOST="127.0.0.1", GATEWAY_PORT=str(self.port), MINISTACK_HOST="localhost",
            MINISTACK_REGION=REGION, LAMBDA_EXECUTOR="local", AWS_ENDPOINT_URL=self.url,
            TMPDIR=str(self.directory), AUTH="true", IOT_MTLS_ENABLED="false", **self.more)
        with open(self.log, "w", encoding="utf-8") as log:
            return subprocess.Popen([Path(sys.executable).parent / "ministack"], env=env,
                                    cwd=self.directory, stdout=log, stderr=log)

    def _settled(self):
        """It answers (and is ours), or it has ended: None, as yet neither."""
        if self.process.poll() is not None:
            return "ended"
        try:
            requests.get(self.url + "/_ministack/health", timeout=5)
        except requests.ConnectionError:
            return None
        return "ready"

    def _make_user(self):
        """The root keys of an empty emulator; everything else uses those of this user."""
        iam = self.client("iam", keys=("test", "test"))
        iam.create_user(UserName="gwh")
        iam.put_user_policy(UserName="gwh", PolicyName="all", PolicyDocument=EVERYTHING)
        made = iam.create_access_key(UserName="gwh")["AccessKey"]
        self.keys = (made["AccessKeyId"], made["SecretAccessKey"])

    def client(self, service, keys=None):
        key_id, secret = keys or self.keys
        return boto3.client(service, region_name=REGION, endpoint_url=self.url,
                            aws_access_key_id=key_id, aws_secret_access_key=secret)

    def environment(self, **more):
        """For a program that is to use it."""
        return clean_environment(AWS_REGION=REGION, AWS_ENDPOINT_URL=self.url,
                                 AWS_ACCESS_KEY_ID=self.keys[0],
                                 AWS_SECRET_ACCESS_KEY=self.keys[1], **more)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=60)
