"""The files of an import, by subject; ``catalogue`` puts them in their order."""
