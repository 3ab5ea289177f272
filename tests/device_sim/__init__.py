"""The simulated field devices."""
