"""The window, its keys, and what a person does in it.

Goes in: the composition of all desks, and desks about the whole window. Stays out: desks of one
sheet; they live with their sheet.
"""
