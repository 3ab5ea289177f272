"""A GSM modem on a serial port, in PDU mode."""
