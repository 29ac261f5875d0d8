"""Commands of the `twinlens` program, one file each: `configure(parser)` and `execute(args)`.

Goes in: options, and text or JSON on standard output. Stays out: whatever the window needs as
well; that is in `app.core` and `app.views`. A new command is a file here and a line in `cli.py`.
"""
