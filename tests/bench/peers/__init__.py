"""What ``bench_peers.py`` is made of: networks, conversions, worker processes, tables."""
