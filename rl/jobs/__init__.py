"""What `task=sokoban` does."""
