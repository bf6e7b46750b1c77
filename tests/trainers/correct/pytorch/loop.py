"""The PyTorch tutorial's loop, with all that resuming takes: model, optimizer, scheduler, generator and position."""

import os
import signal
import time

import torch
from torch import nn

PATH = "/opt/ml/checkpoints/last.pt"
stop = False


def on_term(*_):
    global stop
    stop = True


def main():
    signal.signal(signal.SIGTERM, on_term)
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=100)
    start = 0
    if os.path.exists(PATH):
        checkpoint = torch.load(PATH)
        model.load_state_dict(checkpoint["model"])
        optimizer.load_state_dict(checkpoint["optimizer"])
        scheduler.load_state_dict(checkpoint["scheduler"])
        torch.set_rng_state(checkpoint["rng"])
        start = checkpoint["step"]
    for step in range(start + 1, 101):
        x = torch.randn(32, 6)
        loss = nn.functional.mse_loss(model(x), x.sum(dim=1, keepdim=True))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        time.sleep(0.03)
        print(f"step {step} | loss {loss.item():.6f} | lr {scheduler.get_last_lr()[0]:.2e}", flush=True)
        if step % 10 == 0 or stop:
            torch.save(
                {
                    "model": model.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "scheduler": scheduler.state_dict(),
                    "rng": torch.get_rng_state(),
                    "step": step,
                },
                PATH + ".tmp",
            )
            os.replace(PATH + ".tmp", PATH)
        if stop:
            raise SystemExit(143)
    torch.save(model.state_dict(), "/opt/ml/model/model.pt")


if __name__ == "__main__":
    main()
