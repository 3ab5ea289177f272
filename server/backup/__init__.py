"""Backups: the whole system as one file, made while it runs, put back on either database.

docs/backup.md describes the file and how to use it.
"""
