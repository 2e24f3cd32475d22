"""The engine of cached stages: the graph, fingerprints of code, keys, the store, the plan and the execution."""
