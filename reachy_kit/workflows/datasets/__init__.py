"""The work of ``reachy-kit dataset``: edits, sharing, conversion and forgetting of recorded datasets."""
