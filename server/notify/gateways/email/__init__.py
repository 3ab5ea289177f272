"""Notices as e-mails, by SMTP."""
