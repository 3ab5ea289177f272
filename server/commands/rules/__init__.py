"""The rules of texted commands, without a database: words, grammar, answers."""
