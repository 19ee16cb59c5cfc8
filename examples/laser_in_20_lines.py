"""LASER in 20 lines: one matrix of the built-in facts model cut to several ranks, and what each cut is worth."""

from laser_lit import Edit, Stack, compare, ensure_facts_model, factorize, find_matrices, load_data, load_model, score

model, tokenizer = load_model(ensure_facts_model())  # or any folder or hub id; this one is trained where it is missing
facts = load_data("facts")
base = score(model, tokenizer, facts)  # pandas: a row a question

matrices = find_matrices(model)  # MatrixId -> handle with .name .shape .read() .write(W)
(last,) = matrices.select(layer=-1, matrix="fc_in")
factors = factorize(matrices[last].read())  # U, S, Vh: one SVD, of which every rank is a slice
print(f"{matrices[last].name}, {factors.rank_max} singular values from {factors.S[0]:.2f} to {factors.S[-1]:.2f}")

for rank in (1, 4, 16, 48):
    with Stack([Edit(layer=-1, matrix="fc_in", rank=rank)]).applied(model) as done:
        laser = score(model, tokenizer, facts)  # afterwards the weights are back, bit for bit
    gain = compare(base, laser)  # paired by question, resampled by fact
    low, high = gain.ci95 or (0, 0)
    right = f"{base.correct.mean():.1%} -> {laser.correct.mean():.1%}"
    print(f"rank {rank:2}, error {done[0].relative_error:.2f}: {right}, {low:+.1%} to {high:+.1%}, p {gain.p:.0e}")
