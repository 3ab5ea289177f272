"""Dues: payments and what they settle, tills, bank files, late fees, reminders and disputes."""
