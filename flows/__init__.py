"""What a person schedules: Prefect flows."""
