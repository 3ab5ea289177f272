"""What commands do, by subject."""
