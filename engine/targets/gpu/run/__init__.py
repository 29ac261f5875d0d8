"""A loaded network on a GPU: adapter, device, program, frames in flight, runner."""
