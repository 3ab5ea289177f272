"""A small SMS centre with customers' phones: speaks SMPP on one port, shows the phones on another."""
