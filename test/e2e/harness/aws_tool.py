"""What src/aws/ computes."""

from .tool import Tool


class AwsTool(Tool):
    path = "test/aws/aws_tool"
