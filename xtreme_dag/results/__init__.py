"""DuckDB: schema, views, landing and comparison statistics."""
