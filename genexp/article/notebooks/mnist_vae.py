"""The article's MNIST VAE with two latent dimensions: Adam at 1e-3, batches of 128."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader

from genexp.article.notebooks import Gate
from genexp.article.notebooks.pictures import pictures
from genexp.article.qualities import mean_over

BATCH_SIZE = 128


class VAE(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU()
        )
        self.decoder = nn.Sequential(
            nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 256), nn.ReLU(), nn.Linear(256, 784)
        )
        self.head = nn.Linear(64, 4)

    def loss(self, x: Tensor) -> Tensor:
        mu, log_var = self.head(self.encoder(x)).chunk(2, dim=1)
        z = mu + torch.exp(0.5 * log_var) * torch.randn_like(mu)
        reconstruction = torch.sigmoid(self.decoder(z))
        bce = F.binary_cross_entropy(reconstruction, x.flatten(1), reduction="sum")
        kl = -0.5 * torch.sum(1 + log_var - mu**2 - log_var.exp())
        return (bce + kl) / len(x)


def train(data: Any, gate: Gate) -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    loader = DataLoader(pictures(data.train), batch_size=BATCH_SIZE, shuffle=True, drop_last=True)
    model = VAE().to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
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
            if gate.due:
                gate.judge(lambda: mean_over(data.test, model.loss, device))
