"""Where AWS's services are, compared with botocore: each service in each region it knows."""

import botocore.session
import pytest
from botocore.config import Config
from harness.aws_tool import AwsTool
from harness.server import clean_environment

pytestmark = pytest.mark.one_thread

REGIONAL = Config(s3={"us_east_1_regional_endpoint": "regional"})


@pytest.mark.parametrize("service", ["s3", "sqs", "dynamodb", "firehose", "sts"])
def test_endpoints(monkeypatch, service):
    monkeypatch.setenv("AWS_STS_REGIONAL_ENDPOINTS", "regional")
    session = botocore.session.Session()
    tool = AwsTool(env=clean_environment())
    seen = 0
    for partition in session.get_available_partitions():
        for region in session.get_available_regions("sqs", partition):
            client = session.create_client(service, region_name=region, config=REGIONAL,
                                           aws_access_key_id="id", aws_secret_access_key="secret")
            answer = tool.ask("endpoint", service=service, region=region)
            assert answer == {"url": client.meta.endpoint_url}
            seen += 1
    tool.close()
    assert seen > 35
