"""Hourly readings of large customers, as their terminals send them."""
