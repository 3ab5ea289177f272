"""Texts out as JSON over HTTP; docs/http-gateway.md describes both directions."""
