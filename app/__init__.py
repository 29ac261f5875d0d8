"""What a person runs: the window, the commands, and everything they are made of.

Goes in: whatever needs a source, a session or a screen. Stays out: how a network computes
(`engine`), and which networks and files there are (`models`); neither imports anything from here.
"""
