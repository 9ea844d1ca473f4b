"""deploy/aws/template.yaml on an emulator, with a zip of the program under test."""

import base64
import json
import subprocess
import sys

import requests
from cfnlint.decode import decode

from . import emf
from .ministack import REGION
from .server import GWH, ROOT
from .waiting import eventually, seconds

NAME = "tried"
ACCOUNT = "000000000000"
ADMIN_KEY = "admin:key-of-the-stack"


class Stack:
    def __init__(self, aws, directory):
        self.aws = aws
        self.bucket = f"{NAME}-events-{ACCOUNT}-{REGION}"
        self.master_key = base64.b64encode(b"k" * 32).decode()
        self.zip = directory / "gwh.zip"
        self.queues = {}

    def make(self, **variables):
        subprocess.run([sys.executable, "-B", ROOT / "scripts/lambda_zip.py", "pack", GWH, self.zip],
                       check=True, stdout=subprocess.DEVNULL)
        self._put_code()
        self._make_log()
        parameters = {
            "Deployment": NAME, "CodeBucket": "code", "CodeKey": "gwh.zip", "AllowedIps": "*",
            "Concurrency": "4", "LogStream": "log",
            "MasterKeySecret": self._secret("master", self.master_key),
            "AdminKeySecret": self._secret("admin", ADMIN_KEY)}
        formation = self.aws.client("cloudformation")
        formation.create_stack(
            StackName=NAME, TemplateBody=json.dumps(template()), Capabilities=["CAPABILITY_IAM"],
            Parameters=[{"ParameterKey": key, "ParameterValue": value}
                        for key, value in parameters.items()])

        def made():
            stack = formation.describe_stacks(StackName=NAME)["Stacks"][0]
            assert stack["StackStatus"] == "CREATE_COMPLETE", stack
            return stack

        outputs = {row["OutputKey"]: row["OutputValue"] for row in eventually(made, 60)["Outputs"]}
        self.url = outputs["Api"]
        self.queues = {"events": outputs["EventsQueue"], "wakes": outputs["WakesQueue"],
                       "dead": outputs["DeadLettersQueue"]}
        self._set_variables(variables)
        return self

    def _put_code(self):
        s3 = self.aws.client("s3")
        s3.create_bucket(Bucket="code", CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_object(Bucket="code", Key="gwh.zip", Body=self.zip.read_bytes())

    def _make_log(self):
        self.aws.client("firehose").create_delivery_stream(
            DeliveryStreamName="log", DeliveryStreamType="DirectPut",
            ExtendedS3DestinationConfiguration={
                "RoleARN": f"arn:aws:iam::{ACCOUNT}:role/any", "BucketARN": "arn:aws:s3:::code",
                "Prefix": "log/", "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 0}})

    def _secret(self, name, text):
        made = self.aws.client("secretsmanager").create_secret(Name=name, SecretString=text)
        return made["ARN"]

    def _set_variables(self, more):
        functions = self.aws.client("lambda")
        now = functions.get_function_configuration(FunctionName=NAME)["Environment"]["Variables"]
        functions.update_function_configuration(
            FunctionName=NAME, Environment={"Variables": {**now, **more}})

    def be_impatient(self, visibility, receives):
        """A message that failed comes back at once, and dies sooner."""
        sqs = self.aws.client("sqs")
        dead = sqs.get_queue_attributes(QueueUrl=self.queues["dead"], AttributeNames=["QueueArn"])
        policy = {"deadLetterTargetArn": dead["Attributes"]["QueueArn"], "maxReceiveCount": receives}
        for name in ("events", "wakes"):
            sqs.set_queue_attributes(QueueUrl=self.queues[name], Attributes={
                "VisibilityTimeout": str(visibility), "RedrivePolicy": json.dumps(policy)})

    def left(self, name):
        """Messages in a queue, those in flight included."""
        got = self.aws.client("sqs").get_queue_attributes(
            QueueUrl=self.queues[name], AttributeNames=["All"])["Attributes"]
        return sum(int(got["ApproximateNumberOfMessages" + which])
                   for which in ("", "NotVisible", "Delayed"))

    def rows(self, app):
        """Of the delivery log."""
        s3 = self.aws.client("s3")
        found = s3.list_objects_v2(Bucket="code", Prefix="log/").get("Contents", [])
        texts = [s3.get_object(Bucket="code", Key=item["Key"])["Body"].read() for item in found]
        rows = [json.loads(line) for text in texts for line in text.splitlines()]
        return [row for row in rows if row.get("app_id") == app]

    def said(self):
        """Every line that a function has written."""
        events = self.aws.client("logs").filter_log_events(logGroupName=f"/aws/lambda/{NAME}")
        return [line for row in events["events"] for line in row["message"].splitlines()]

    def metrics(self):
        """Sums of what CloudWatch was told."""
        return emf.sums(self.said())

    def request(self, method, path, key=ADMIN_KEY, **kwargs):
        """By the function's URL, whose name only the emulator knows."""
        host = self.url.removeprefix("https://").rstrip("/")
        headers = {"host": host}
        if key:
            headers["appid"], headers["appkey"] = key.split(":")
        return requests.request(method, self.aws.url + path, headers=headers,
                                timeout=seconds(60), **kwargs)


def template():
    """Without what demands https of the bucket, for the emulator speaks http; and with an action that
    it asks for, where AWS has none: a batch needs sqs:SendMessage."""
    made, problems = decode(str(ROOT / "deploy/aws/template.yaml"))
    assert not problems
    made = json.loads(json.dumps(made))
    del made["Resources"]["BucketPolicy"]
    work = made["Resources"]["Work"]["Properties"]["PolicyDocument"]["Statement"]
    next(row for row in work if row["Sid"] == "Messages")["Action"].append("sqs:SendMessageBatch")
    return made
