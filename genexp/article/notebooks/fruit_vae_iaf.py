"""The article's CNN-VAE with an inverse autoregressive flow of nflows: Adam at 1e-4, batches of 32, 96×96 pictures."""

import math
from typing import Any

import torch
from nflows.transforms import CompositeTransform, MaskedAffineAutoregressiveTransform, RandomPermutation
from torch import Tensor, nn
from torch.utils.data import DataLoader

from genexp.article.notebooks import Gate
from genexp.article.notebooks.pictures import pictures

BATCH_SIZE = 32


def make_encoder() -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in ((3, 32), (32, 64), (64, 128), (128, 256), (256, 512)):
        layers += [nn.Conv2d(before, after, 4, stride=2, padding=1), nn.ReLU(), nn.BatchNorm2d(after)]
    return nn.Sequential(*layers, nn.Flatten())


def make_decoder(latent: int) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Linear(latent, 512 * 3 * 3), nn.Unflatten(1, (512, 3, 3))]
    for before, after in ((512, 256), (256, 128), (128, 64), (64, 32)):
        layers += [nn.ConvTranspose2d(before, after, 4, stride=2, padding=1), nn.LeakyReLU(0.2), nn.BatchNorm2d(after)]
    return nn.Sequential(*layers, nn.ConvTranspose2d(32, 3, 4, stride=2, padding=1), nn.Sigmoid())


class IAFVAE(nn.Module):
    def __init__(self, latent: int = 64, context: int = 128) -> None:
        super().__init__()
        self.encoder, self.decoder = make_encoder(), make_decoder(latent)
        self.head = nn.Linear(512 * 3 * 3, 2 * latent)
        self.context = nn.Sequential(nn.Linear(512 * 3 * 3, context), nn.ReLU())
        steps: list[nn.Module] = []
        for _ in range(4):
            made = MaskedAffineAutoregressiveTransform(latent, hidden_features=128, context_features=context)
            steps += [RandomPermutation(latent), made]
        self.flow = CompositeTransform(steps)

    def loss(self, x: Tensor) -> Tensor:
        features = self.encoder(x)
        mu, log_var = self.head(features).chunk(2, dim=1)
        noise = torch.randn_like(mu)
        z, log_det = self.flow(mu + torch.exp(0.5 * log_var) * noise, self.context(features))
        log_q = -0.5 * (noise**2 + log_var + math.log(2 * math.pi)).sum(1) - log_det
        log_p = -0.5 * (z**2 + math.log(2 * math.pi)).sum(1)
        squared_error = (self.decoder(z) - x).square().flatten(1).sum(1)
        return (squared_error + log_q - log_p).mean()


def train(data: Any, gate: Gate) -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    loader = DataLoader(pictures(data.train), batch_size=BATCH_SIZE, shuffle=True, drop_last=True)
    model = IAFVAE().to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, weight_decay=1e-5)
    gate.announce(model, BATCH_SIZE, lambda: model.loss(next(iter(loader))[0].to(device)))
    losses = []
    gate.restart()
    while True:
        for x, _ in loader:
            gate.step()
            x = x.to(device)
            optimizer.zero_grad()
            loss = model.loss(x)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
