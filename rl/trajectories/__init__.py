"""Episodes that a policy learns from: played by an expert with noise, kept compactly, taken from or given to others."""
