"""Behaviours: policies that are written, not learned."""
