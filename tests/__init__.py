"""Tests of Fieldbell; the folders below are named after what they test."""
