"""What `task=sokoban` adds to a run's report."""
