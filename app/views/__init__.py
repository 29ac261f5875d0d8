"""What views show, as plain data: one file a view, one table of all.

Goes in: pure functions from records of the core to frozen records that a painter or a panel
draws. Stays out: Qt, clocks, threads and files. A new view is a file here, a line in the table,
and a painter in `app.qt`.
"""
