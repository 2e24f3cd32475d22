"""Generated data in invented languages, with gold labels known by construction: the default data source."""
