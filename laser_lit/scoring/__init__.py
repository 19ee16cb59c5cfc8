"""Scores a language model: examples to token requests, requests to log probs and generations, those to a table."""
