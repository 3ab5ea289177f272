"""The ways out of the house: each gateway turns submissions into something a carrier takes."""
