"""Behaviours: policies that are written, not learned, and the arbiter that lets one of several drive.

A behaviour of this kit is a file ``NAME_behaviour.py``; ``behaviour_kind.py`` says what it holds.
"""
