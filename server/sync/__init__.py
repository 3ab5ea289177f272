"""The device protocol ``/device/v1``: enrolment, push and pull; docs/sync-protocol.md describes it."""
