"""What every test shares: how much effort property tests make."""

import os

import pytest
from hypothesis import HealthCheck, settings

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
