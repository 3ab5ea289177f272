"""A fleet against a real server while everything is killed at chosen points; then the books are checked.

``plan`` draws what will happen from a seed, ``world`` writes the utility that is read, ``system`` runs the
server's programs, ``chaos`` kills them, ``device`` lives a handheld's days, ``oracle`` and ``verdict`` decide.
"""

from __future__ import annotations
