"""What the app does, without Qt: pure Python that tests drive with fakes and a clock.

Goes in: logic that the window and the commands share, a room for each subject. Stays out: Qt,
OpenCV, text that is laid out for a screen (`app.views`, `app.overlays`), and standard output.
"""
