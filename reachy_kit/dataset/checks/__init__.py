"""Findings about recorded datasets, one file for each kind: files against the metadata, and values that cannot be.

Try it: python -c "from reachy_kit.dataset.reading import open_for_training; open_for_training('data/look_at')"
"""
