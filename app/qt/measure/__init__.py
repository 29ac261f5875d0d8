"""The sheets that measure."""
