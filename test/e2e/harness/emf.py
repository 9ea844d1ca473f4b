"""What a process tells CloudWatch: lines of JSON in its log, each with what came since the last."""

import json


def sums(lines):
    """By metric."""
    found = {}
    for line in lines:
        if '"_aws"' not in line:
            continue
        told = json.loads(line)
        (directive,) = told["_aws"]["CloudWatchMetrics"]
        assert directive["Namespace"] == "GenericWebhook"
        assert directive["Dimensions"] == [["Deployment"]] and told["Deployment"]
        for metric in directive["Metrics"]:
            found[metric["Name"]] = found.get(metric["Name"], 0) + told[metric["Name"]]
    return found
