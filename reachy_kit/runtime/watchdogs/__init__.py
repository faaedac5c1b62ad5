"""Watchdogs: faults that a control loop does not notice by itself, and what the robot then does."""
