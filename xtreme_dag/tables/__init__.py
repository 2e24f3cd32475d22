"""The three table formats on disk: canonical, encoded, predictions."""
