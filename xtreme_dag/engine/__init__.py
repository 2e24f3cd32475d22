"""The stage graph, fingerprints, keys, the store and the plan."""
