"""Networks assembled by hand, one file a paper.

Goes in: functions that build a graph from parameters and read like the paper, and the table of
them. Stays out: files, labels of a data set, anything that runs.
"""
