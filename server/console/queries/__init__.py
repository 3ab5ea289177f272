"""What the pages read, each query with the scope of the person who asks."""
