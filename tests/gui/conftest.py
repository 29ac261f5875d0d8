"""Fixtures of the window tests."""

from helpers.gui_stand import stand

__all__ = ["stand"]
