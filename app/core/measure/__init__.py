"""Engines against each other: what is timed, and how."""
