"""Scoring: gold and predicted columns in, sufficient statistics and official figures out.

Each family of metrics has a module whose `statistics` function gives one row of `s_*` columns per example. `combine`
turns sums of those columns into figures of 0-100. A bootstrap or a slice reweights sums and never rescores.
Everything here is numpy and the standard library; the reference is google-research/xtreme at 838c13b with seqeval
1.2.2. `docs/fidelity.md` lists where the reference is odd and what is done about it.
"""
