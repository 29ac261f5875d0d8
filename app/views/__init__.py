"""What views show, as plain data: one file a view, one table of all.

Goes in: pure functions from records of the core to frozen records that a painter or a panel
draws. Stays out: Qt, clocks, threads and files, and what always stands on the picture
(`app.overlays`).

A new view is a file here with its `View` (see `view.py`: key, title, place, what it needs of each
answer, its snapshot), a line in `table.VIEWS`, a painter or panel in `app.qt` and a line in
`app.qt.drawn.DRAWN`. Its key, its row in the View menu and on the card, its place and the thread
that computes it follow.
"""
