"""One module per subject: how a set of items of a type is settled."""
