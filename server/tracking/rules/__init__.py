"""Rules of tracks: what a point must be, which shift it belongs to, what a line of points says."""
