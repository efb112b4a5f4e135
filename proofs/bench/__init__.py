"""Measurements of speed, size and latency, each figure beside a named alternative of the same run.

    python -m proofs.bench --json .bench/figures.json

One measure is one fresh process, alternatives take turns round by round, and medians are reported.
Absolute times belong to one machine: read the ratios. docs/lab/performance.md has the tables.
"""
