"""Customers, contacts, accounts, premises, the network tree, service points and their meters."""
