"""deploy/aws/template.yaml: lawful, consistent with the program, and deployed on an emulator as far as
that goes."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cfnlint.decode import decode
from harness.server import ROOT, run
from harness.waiting import seconds

pytestmark = [pytest.mark.one_thread, pytest.mark.timeout(seconds(120))]

TEMPLATE = ROOT / "deploy/aws/template.yaml"


@pytest.fixture(scope="module")
def template():
    made, problems = decode(str(TEMPLATE))
    assert not problems
    return json.loads(json.dumps(made))


def properties(template, name):
    return template["Resources"][name]["Properties"]


def test_lawful():
    done = subprocess.run([Path(sys.executable).parent / "cfn-lint", TEMPLATE],
                          capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_settings_are_known(template):
    known = set(re.findall(r"`([A-Z_]+)`", run("reference", "settings").stdout.decode()))
    function = set(properties(template, "Function")["Environment"]["Variables"])
    worker = properties(template, "WorkerTask")["ContainerDefinitions"][0]
    names = {entry["Name"] for entry in worker["Environment"] + worker["Secrets"]}
    assert function <= known
    assert names <= known | {"AWS_REGION"}


def test_what_was_calculated(template):
    parameters, mappings = template["Parameters"], template["Mappings"]
    assert {name: int(name) // 2 for name in parameters["Concurrency"]["AllowedValues"]} == {
        name: row["Is"] for name, row in mappings["Half"].items()}
    assert {name: int(name) + 20 for name in parameters["RetentionDays"]["AllowedValues"]} == {
        name: row["Days"] for name, row in mappings["Objects"].items()}


def test_messages_come_back_late_enough_and_die_in_time(template):
    timeout = properties(template, "Function")["Timeout"]
    for name in ("Queue", "WakeQueue"):
        queue = properties(template, name)
        assert queue["VisibilityTimeout"] >= 6 * timeout
        assert queue["RedrivePolicy"]["maxReceiveCount"] == 5
    for name in ("FromQueue", "FromWakeQueue"):
        assert properties(template, name)["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


def test_every_alarm_says_what_to_do(template):
    alarms = {name: resource["Properties"] for name, resource in template["Resources"].items()
              if resource["Type"] == "AWS::CloudWatch::Alarm"}
    assert len(alarms) >= 6
    for alarm in alarms.values():
        assert alarm["AlarmDescription"] and alarm["AlarmActions"]
        assert alarm["TreatMissingData"] == "notBreaching"


def test_metrics_are_told(template):
    told = set(re.findall(r'^ +\{"(\w+)", \w+, \w+\},$', (ROOT / "src/app/emf.c").read_text(),
                          re.MULTILINE))
    assert "DeliveriesDead" in told
    dashboard = properties(template, "Dashboard")["DashboardBody"]["Fn::Sub"]
    wanted = set(re.findall(r'"GenericWebhook", "(\w+)"', dashboard))
    wanted |= {properties(template, name)["MetricName"] for name in ("DeadAlarm", "LogAlarm")}
    assert wanted <= told


def test_roles_are_narrow(template):
    for name, resource in template["Resources"].items():
        if not resource["Type"].startswith("AWS::IAM"):
            continue
        text = json.dumps(resource["Properties"])
        assert '"Resource": "*"' not in text, name
        assert not re.search(r'"\w+:\*"', text), name
