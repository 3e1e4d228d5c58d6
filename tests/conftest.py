"""What every test shares: umask, signals, and how much effort property tests make."""

import os
import signal
from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, settings

os.umask(0o022)  # tests of modes and owners give the same answer to everybody
DEFAULTS = {signal.SIGINT: signal.default_int_handler, signal.SIGQUIT: signal.SIG_DFL}
for number, handler in DEFAULTS.items():  # a shell starts background jobs that ignore them
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, handler)

pytest.register_assert_rewrite("chaos")

settings.register_profile("quick", max_examples=100, deadline=None)
settings.register_profile(
    "full",
    max_examples=2000,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)
settings.load_profile(os.environ.get("LOGWATCH_TEST_EFFORT", "quick"))


@pytest.fixture(name="agent_of")
def _agent_of(tmp_path):
    """Make agents in the test's directory; none outlives the test."""
    from running import Running

    with ExitStack() as stack:
        yield lambda *logs, config="", before=(): stack.push(
            Running(tmp_path, logs, config, before=before)
        )
