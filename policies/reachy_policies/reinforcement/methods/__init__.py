"""The command's methods: from a start and a method's name to a run on disk."""
