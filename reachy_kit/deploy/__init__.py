"""The desktop at work on a robot's own computer, over SSH: installing the runtime, recording, pulling the result."""
