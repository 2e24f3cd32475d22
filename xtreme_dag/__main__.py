"""`python -m xtreme_dag` is the same program as `xtreme-dag`."""

from xtreme_dag.program.cli import main

if __name__ == "__main__":
    main()
