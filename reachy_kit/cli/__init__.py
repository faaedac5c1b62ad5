"""The command line: one file per verb, each a thin face that parses, calls and shows."""
