"""The methods of ``train rl``: from an initial policy and a method's name to a run on disk."""
