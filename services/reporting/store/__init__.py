"""What is remembered: runs, results, their events and what was deleted. The workspace comes first wherever a caller's data is read."""
