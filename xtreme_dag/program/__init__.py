"""The command-line program: commands, the local Prefect server, progress, publishing."""
