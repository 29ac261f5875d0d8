"""Engines against each other: what is timed, in which turns, and what the figures mean.

Goes in: loops that time loaded networks, and the records that they yield. Stays out: charts
(`app.views`), and timings of the live picture (`app.core.session.meters`).
"""
