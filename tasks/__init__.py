"""One cached Prefect task per kind of stage, each a thin wrapper over `xtreme_dag.engine.execute`."""
