"""The picture, what is painted on it, and the controls over it.

Goes in: what is on the screen when nothing is open, one painter an overlay. Stays out: what the
overlays show (`app.overlays`).
"""
