"""The Fieldbell server: one package per subject, stacked as docs/architecture.md says."""
