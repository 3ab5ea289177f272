"""Pure rules of dues: late fees, what a payment settles, the ladder, bank files."""
