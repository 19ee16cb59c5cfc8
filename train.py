"""Trains a model: bare `python train.py` trains the built-in facts model; see README.md."""

from laser_lit.main import train

if __name__ == "__main__":
    train()
