"""Questions to a person when logging in to a robot, on the terminal; without a terminal nothing is confirmed."""

import sys

import typer


class TerminalPrompts:
    """Asks on stderr, so that results can be piped."""

    def accept_key(self, host: str, fingerprint: str) -> bool:
        """Whether the key of a robot that is not known yet is the robot's."""
        print(f"{host} is not known yet. The fingerprint of its key: {fingerprint}", file=sys.stderr)
        return sys.stdin.isatty() and typer.confirm("Is this the robot, and may it be remembered?", err=True)

    def password(self, login: str) -> str | None:
        """The password of a login; None without a terminal. It is not shown, and not kept."""
        if not sys.stdin.isatty():
            return None
        entered: str = typer.prompt(f"Password of {login}", hide_input=True, err=True, default="", show_default=False)
        return entered or None

    def remove_from_robot(self, episodes: int, robot: str) -> bool:
        """Whether to remove episodes from the robot that were brought into the dataset, whole and verified."""
        question = f"{episodes} episodes were brought into the dataset, verified. Remove them from {robot}?"
        return sys.stdin.isatty() and typer.confirm(question, default=True, err=True)
