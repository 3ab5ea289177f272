"""Where the reps are and were: shifts, track points, live positions, the day's track."""
