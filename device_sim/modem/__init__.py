"""A GSM modem at a pty: PDU mode, a SIM with few places, and the manners of real ones."""
