"""Scores a model under LASER: `python evaluate.py model=gptj laser=stack_top3`; see README.md."""

from laser_lit.main import evaluate

if __name__ == "__main__":
    evaluate()
