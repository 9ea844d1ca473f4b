"""`gwh lambda` and a fake of Lambda's runtime API: how a function's process begins, answers and ends."""

import base64

import pytest
from harness.runtime_api import Function, RuntimeApi
from harness.server import CANARY, clean_environment, run
from harness.waiting import seconds

pytestmark = pytest.mark.timeout(seconds(120))

MASTER_KEY = base64.b64encode(b"k" * 32).decode()


@pytest.fixture
def runtime():
    api = RuntimeApi()
    yield api
    api.close()


@pytest.fixture
def functions(runtime):
    made = []

    def start(*flags, **settings):
        made.append(Function(runtime, *flags, **settings))
        return made[-1]

    yield start
    for function in made:
        function.kill()


# ── The beginning ───────────────────────────────────────────────────────────────────────────────

@pytest.mark.parametrize("settings, why", [
    ({"GWH_RETENTION": "no"}, "GWH_RETENTION: must be"),
    ({"AWS_REGION": ""}, "AWS_REGION"),
    ({"GWH_MASTER_KEY": ""}, "GWH_MASTER_KEY: must be set"),
    ({"GWH_LOG_URL": "mysql://" + CANARY}, "GWH_LOG_URL: must be postgres://"),
])
def test_what_is_wrong_is_said_to_lambda(runtime, functions, settings, why):
    function = functions(**{"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "a",
                            "AWS_SECRET_ACCESS_KEY": "b", "GWH_MASTER_KEY": MASTER_KEY, **settings})
    assert function.wait() == 1
    assert [error["errorType"] for error in runtime.init_errors] == ["Runtime.CannotStart"]
    assert why in runtime.init_errors[0]["errorMessage"]
    assert runtime.asked == 0
    assert why in function.logged("cannot_start")[0]["why"]
    function.stop()


def test_without_lambda():
    done = run("lambda", env=clean_environment(AWS_REGION="eu-west-1"))
    assert done.returncode == 3
    assert b"AWS_LAMBDA_RUNTIME_API: must be set" in done.stderr
