"""Tests of texted commands."""
