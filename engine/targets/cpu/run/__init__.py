"""A loaded network on the CPU: its program, its threads, its runner, its calibration.

Goes in: what exists once a network is loaded. Stays out: decisions that a graph alone allows.
"""
