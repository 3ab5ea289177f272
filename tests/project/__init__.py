"""Tests of the project about itself: its rules, its checks, its set-up."""
