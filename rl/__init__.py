"""Layer-selective rank reduction of decision transformers on gymnasium tasks."""
