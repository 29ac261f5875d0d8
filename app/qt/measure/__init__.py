"""Sheets that measure while the picture goes on: bench, crossover, the fastest engine.

Goes in: sheets, charts and desks of measurements. Stays out: measuring itself
(`app.core.measure`) and what a chart says (`app.views`).
"""
