"""From a study to its stage graph."""
