"""Measurements of speed: real web processes, real databases, books checked afterwards."""
