"""Diffusion: noise schedules, what a network predicts, samplers along the ODE and the SDE, guidance, the bound in nats."""
