"""The robot through its SDK, and the simulated daemon that stands in for one."""
