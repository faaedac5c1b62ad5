"""Inputs of workflows: a robot's session, policies, environments and configurations from arguments; a reporter."""
