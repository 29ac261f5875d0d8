"""The live pipeline without Qt: mailboxes, statistics, smoothing, settings, pipeline, session."""
