"""Telemetry of a run: measured in the control loop, written and published beside it."""
