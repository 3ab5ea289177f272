"""What a handheld speaks over serial lines, and the other ends of those lines on ptys.

The cradle (``cradle``), a GPS receiver (``receiver``), a barcode scanner (``scanner``) and the optical
probe of meters (``probe``); ``ends`` and ``sim_*`` play what is plugged in at the far end.
"""
