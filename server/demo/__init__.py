"""The demo: a county energy company made of real consumption, for `make run` and for trying out."""
