"""genexp: experiments with likelihood-based generative models, from the command line."""
