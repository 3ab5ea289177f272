"""What people and other systems have texted: to whom, what it will cost, and what became of it."""
