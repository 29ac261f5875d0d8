"""What a network answers, told by its operators: which output classifies, and how it is read.

Goes in: one chart of operators for every format, and what is found by walking back on it. Stays
out: readers of formats, which draw the chart, and numbers, which ``engine.api.observations`` reads.
"""
