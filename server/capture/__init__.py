"""What the field sends: capture events and, per item type, how it is judged and settled."""
