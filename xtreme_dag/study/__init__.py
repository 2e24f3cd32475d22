"""The study file: conditions, recipes, budgets and the order of examples."""
