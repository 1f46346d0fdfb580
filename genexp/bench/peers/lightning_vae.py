"""The MNIST VAE by Lightning's Trainer, with the notebook's model and data loader."""

import logging
import warnings
from typing import Any

import lightning
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from genexp.article.notebooks.mnist_vae import BATCH_SIZE, VAE
from genexp.article.notebooks.pictures import pictures
from genexp.bench.gate import Gate


class Module(lightning.LightningModule):
    def __init__(self, model: VAE) -> None:
        super().__init__()
        self.model = model

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        loss = self.model.loss(batch[0])
        self.log("loss", loss)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=1e-3)


class AtTheGate(lightning.Callback):
    def __init__(self, gate: Gate) -> None:
        self.gate = gate

    def on_train_batch_start(self, *_: Any) -> None:
        self.gate.step()


def train(data: Any, gate: Gate) -> None:
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    loader = DataLoader(pictures(data.train), batch_size=BATCH_SIZE, shuffle=True, drop_last=True)
    model = VAE()
    gate.announce(model, BATCH_SIZE, lambda: model.loss(next(iter(loader))[0]))
    trainer = lightning.Trainer(
        max_epochs=-1,
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[AtTheGate(gate)],
    )
    trainer.fit(Module(model), loader)
