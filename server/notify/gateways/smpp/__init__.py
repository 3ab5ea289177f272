"""SMPP 3.4: the codec over smpplib's PDUs, the session without input and output, the bind's thread."""
