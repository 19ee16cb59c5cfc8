"""laser_lit: what transformer weight matrices hold, and better models by removing some of it."""
