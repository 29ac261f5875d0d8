"""Published models: cards, where fetched files lie, and how they are fetched.

Goes in: facts about models and their files on the disk; `download.py` is the only file of the
project that fetches anything. Stays out: what is in a file (`models.identify`).
"""
