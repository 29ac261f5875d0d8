"""Networks assembled by hand, one file a paper.

Goes in: functions that build a graph from parameters and read like the paper, and the table of
them. Stays out: readers of files (`engine.params`), anything that runs.
"""
