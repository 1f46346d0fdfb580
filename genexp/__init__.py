"""genexp: experiments with likelihood-based generative models, from the command line."""

from genexp.machine.threads import wait_politely

wait_politely()
