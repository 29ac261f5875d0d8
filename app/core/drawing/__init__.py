"""A board to draw on, and the digits as a hand draws them.

Goes in: strokes and the pixels that they make. Stays out: the source that plays a board
(`app.sources.drawing`) and the pointer (`app.qt.stage.pad`).
"""
