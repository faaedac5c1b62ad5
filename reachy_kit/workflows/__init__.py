"""What a command, a lesson, a notebook or the web app does: without a command line, and without printing."""
