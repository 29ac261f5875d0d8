"""Short sheets over the picture: rows, cards, banners, the page of models.

Goes in: panels that stand over the stage, and what opens them. Stays out: panels of measurements
and of the wizard, which have rooms of their own.
"""
