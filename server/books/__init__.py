"""What touches bills and payments together: proof of the books, corrections, an account's turns."""
