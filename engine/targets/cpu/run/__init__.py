"""A loaded network on the CPU: its program, its threads, its runner."""
