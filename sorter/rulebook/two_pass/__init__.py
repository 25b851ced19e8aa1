"""More stations than chutes: a first and a second pass."""
