"""The article's CNN-VAE without a flow: Adam at 5e-5, batches of 32, squared error + ½ KL."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from genexp.article.notebooks import Gate
from genexp.article.notebooks.fruit_vae_iaf import BATCH_SIZE, make_decoder, make_encoder
from genexp.article.notebooks.pictures import pictures
from genexp.article.qualities import mean_over


class CNNVAE(nn.Module):
    def __init__(self, latent: int = 128) -> None:
        super().__init__()
        self.encoder, self.decoder = make_encoder(), make_decoder(latent)
        self.head = nn.Linear(512 * 3 * 3, 2 * latent)

    def loss(self, x: Tensor) -> Tensor:
        mu, log_var = self.head(self.encoder(x)).chunk(2, dim=1)
        z = mu + torch.exp(0.5 * log_var) * torch.randn_like(mu)
        squared_error = (self.decoder(z) - x).square().sum()
        kl = -0.5 * torch.sum(1 + log_var - mu**2 - log_var.exp())
        return (squared_error + 0.5 * kl) / len(x)


def train(data: Any, gate: Gate) -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    loader = DataLoader(pictures(data.train), batch_size=BATCH_SIZE, shuffle=True, drop_last=True)
    model = CNNVAE().to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-5)
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
                model.eval()
                gate.judge(lambda: mean_over(data.test, model.loss, device))
                model.train()
