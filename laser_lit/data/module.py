"""Batches of requests as a Lightning data module; each process gets its own share and no sequence twice."""

from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader

from laser_lit.scoring.batches import Batch, Batches


class RequestModule(LightningDataModule):
    """Serves planned batches."""

    def __init__(self, batches: Batches) -> None:
        """Keeps what to serve.

        Args:
            batches: every request once.
        """
        super().__init__()
        self.allow_zero_length_dataloader_with_multiple_devices = True
        self._batches = batches

    def test_dataloader(self) -> DataLoader[Batch]:
        """Returns this process's share of the batches, which are padded one at a time."""
        world, rank = (self.trainer.world_size, self.trainer.global_rank) if self.trainer else (1, 0)
        return DataLoader(self._batches.shard(rank, world), batch_size=None)  # type: ignore[arg-type]
