"""Texts from phones as commands: who may say what, what it does, and the answer."""
