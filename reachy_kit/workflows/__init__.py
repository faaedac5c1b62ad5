"""Workflows behind commands, lessons, notebooks and the web app; they neither parse arguments nor print."""
