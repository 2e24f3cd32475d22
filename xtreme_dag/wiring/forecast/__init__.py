"""What is known before a run: sizes, costs, caveats and the composition of conditions."""
