"""The parts of a latent-variable model, p(x) = ∫ p(x|z) p(z) dz: likelihoods p(x|z), posteriors q(z|x), priors p(z)."""
