"""Bringing in an operator's data from CSV files: customers, plant, routes, history."""
