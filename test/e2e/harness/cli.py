"""What commands say."""

from .server import CANARY


def said(result, code=0):
    """What a command wrote to stdout, once it ended as it should."""
    assert result.returncode == code, (result.returncode, result.stdout, result.stderr)
    return result.stdout.decode()


def failed(result, code, *words):
    """It wrote one complaint to stderr."""
    assert result.returncode == code, (result.returncode, result.stdout, result.stderr)
    text = result.stderr.decode()
    for word in words:
        assert word in text, text
    assert CANARY not in text
    return text
