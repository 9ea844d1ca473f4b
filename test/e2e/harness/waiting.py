"""Waiting for something to become true. No test sleeps for luck: it asks again until a generous
timeout, which grows with what a sanitizer costs."""

import os
import time

SLOWER = {"asan": 3, "tsan": 5}.get(os.environ.get("GWH_VARIANT", "plain"), 1)

# Far beyond what anything takes on a machine that is busy with other things.
PATIENCE = 20


def seconds(plain):
    """So many seconds, on this variant."""
    return plain * SLOWER


def eventually(condition, timeout=PATIENCE, what=None):
    """Asks until `condition()` is true, and returns what it answered. An AssertionError in it
    counts as not yet, and is what fails the test in the end."""
    deadline = time.monotonic() + seconds(timeout)
    pause = 0.005
    while True:
        late = time.monotonic() > deadline
        try:
            last = condition()
            if last:
                return last
        except AssertionError:
            if late:
                raise
            last = "an assertion"
        if late:
            name = what or getattr(condition, "__name__", "condition")
            told = f"{name} (last: {last!r})"
            raise AssertionError(f"never came true in {seconds(timeout)} s: {told}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)
