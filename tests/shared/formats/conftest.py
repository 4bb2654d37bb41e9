"""Hypothesis without a stopwatch: a busy machine is no finding. What must be quick has a test of its own."""

from hypothesis import HealthCheck, settings

settings.register_profile("formats", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("formats")
