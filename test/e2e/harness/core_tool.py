"""core's pure functions."""

from .tool import Tool


class CoreTool(Tool):
    path = "test/core/core_tool"
