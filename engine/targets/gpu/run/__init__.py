"""A loaded network on a GPU: adapter, device, program, frames in flight, runner, tuning.

Goes in: all that talks to wgpu. Stays out: decisions that a graph alone allows.
"""
