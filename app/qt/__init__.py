"""The window: the only code that knows Qt.

Goes in: widgets, painters, and the threads' way into the window's. Stays out: decisions. What is
shown is computed elsewhere as plain records and handed over; nothing in here decodes, runs a
network, reads a file or waits. Only `main.py` names the window; everybody else gets a port
(`ports.py`). What draws a view stands in one table (`drawn.py`).
"""
