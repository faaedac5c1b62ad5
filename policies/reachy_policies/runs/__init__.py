"""Trained runs on disk: their files, cards, checkpoints, and the policies in them. ``run_files`` is light."""
