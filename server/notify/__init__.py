"""Notices to phones: the outbox, its templates, the gateways and what they report back.

Other packages hand over an event name, a recipient and plain data (`service.enqueue`) inside their
own transaction; the worker's part (`dispatch`) sends what is queued and stores what carriers answer.
This package knows nothing of bills, orders or readings.
"""
