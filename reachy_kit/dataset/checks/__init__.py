"""Findings about recorded datasets: a file for each kind, in rooms by what it looks at.

Try it: reachy-kit dataset check data/look_at
"""
