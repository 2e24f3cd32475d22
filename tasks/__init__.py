"""One cached Prefect task per kind of stage."""
