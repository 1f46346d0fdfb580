"""Parts of models that give each number of an example its probability given those before it."""
