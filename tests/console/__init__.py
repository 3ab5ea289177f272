"""The console: pages, forms, rights, languages."""
