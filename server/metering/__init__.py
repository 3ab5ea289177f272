"""Read orders, readings and their checks, consumption: what a dial says and what was used."""
