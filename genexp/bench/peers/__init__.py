"""The same jobs by other libraries: same size of model, same batch.

Each module has `train(data, gate)`; see genexp.article.notebooks."""
