"""Child processes in which engines run, so that nothing that they do ends or holds up this one.

Goes in: how a host is started, spoken to, watched and ended, and the runner that stands for one.
Stays out: Qt, sources (`app.sources.hosted` has their host), and how a network computes (`engine`).
"""
