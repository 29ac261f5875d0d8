"""The window, its keys, and what a person does in it.

Goes in: the composition of all desks (`wiring.py`), desks about the whole window, and what opens
and feeds views (`views.py`). Stays out: desks of one sheet; they live with their sheet.
"""
