"""The catalog as a person sees it: rows, and downloads that go on.

Goes in: what the models page and `twinlens models` share. Stays out: cards, folders and the
network itself (`models.catalog`).
"""
