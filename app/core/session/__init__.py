"""The live pipeline: a source, the newest frame, one conversion, one run, news for the window.

Goes in: what every frame passes, and the threads that carry it. Stays out: anything that a frame
does not need: setting up models, measuring, the catalog. Frames are never queued here.
"""
