"""What workflows take: a robot's session, policies, environments and configurations by their arguments, a reporter."""
