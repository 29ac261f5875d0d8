"""What becomes of a dropped file: looked at, asked about, proved, used.

Goes in: the drop's desk and the wizard's sheet. Stays out: what a file is (`models.identify`) and
which answer is right (`app.core.setup`).
"""
