"""Settings of an installation and the files that start its processes."""
