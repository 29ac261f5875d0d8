"""From other threads to the window's, and back.

Goes in: signals that carry results into the window's thread, and tasks that it must not do
itself. Stays out: what those tasks are. Nothing here waits without a deadline.
"""
