"""What a Python on the robot is and has. This file is sent there and run by that Python, whatever its version.

It prints a line of JSON. It loads the standard library alone, and is valid for every Python 3.
"""

import json
import os
import platform
import sys


def main() -> None:
    """Print what this Python is."""
    installed = {}  # type: dict[str, str]
    answer = {
        "python": sys.executable,
        "version": list(sys.version_info[:2]),
        "machine": platform.machine(),
        "glibc": platform.libc_ver()[1],
        "home": os.path.expanduser("~"),  # noqa: PTH111  (older Pythons)
        "installed": installed,
    }
    try:
        from importlib.metadata import distributions

        for distribution in distributions():
            if distribution.metadata["Name"]:
                installed[distribution.metadata["Name"].lower().replace("_", "-")] = distribution.version
    except ImportError:
        pass
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
