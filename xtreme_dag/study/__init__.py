"""What a study file means: conditions, recipes, budgets and the schedule of examples."""
