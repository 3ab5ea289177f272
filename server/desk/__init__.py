"""What an agent works with: an account from every side, and texts to people, what they cost and became."""
