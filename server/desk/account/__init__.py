"""One account from every side: finding it, telling what is known of it, noting what its people want."""
