"""The commands of ``reachy-kit dataset``: one file per verb."""
