"""Routes: ordered stops that a field rep walks, and how far the day's round has come."""
