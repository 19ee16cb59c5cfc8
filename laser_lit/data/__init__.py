"""Data sets: what a task asks, where it is read from, and how it is split; `registry.load_data` is the way in."""
