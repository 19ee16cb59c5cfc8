"""Sokoban: rules, levels, rooms with exact solution tables, a solver, gymnasium environments."""
