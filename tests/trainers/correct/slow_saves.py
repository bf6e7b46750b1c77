"""A model that takes its time to write: each save lasts as long as twenty steps, aside, with a rename at the end."""

import glob
import os
import struct
import time
from datetime import datetime

HERE = "/opt/ml/checkpoints"


def say(text):
    print(datetime.now().strftime("%H:%M:%S.%f"), text, flush=True)


def write(step, values):
    final = os.path.join(HERE, "weights-%04d.bin" % step)
    with open(final + ".incomplete", "wb") as f:
        for _ in range(10):
            f.write(struct.pack("<1000d", *([values] * 1000)))
            f.flush()
            time.sleep(0.06)
        f.write(struct.pack("<q", step))
    os.rename(final + ".incomplete", final)
    olds = sorted(glob.glob(os.path.join(HERE, "weights-[0-9][0-9][0-9][0-9].bin")))[:-2]
    for old in olds:
        os.unlink(old)


def read():
    for path in sorted(glob.glob(os.path.join(HERE, "weights-[0-9][0-9][0-9][0-9].bin")), reverse=True):
        raw = open(path, "rb").read()
        if len(raw) == 80008:
            return struct.unpack("<d", raw[:8])[0], struct.unpack("<q", raw[-8:])[0]
    return 1.0, 0


value, begin = read()
say(f"begin at step {begin}")
for step in range(begin + 1, 91):
    value *= 0.99
    time.sleep(0.03)
    say(f"step {step} loss {value:.5f}")
    if step % 20 == 0:
        t = time.perf_counter()
        write(step, value)
        say(f"wrote in {time.perf_counter() - t:.1f}s")
open("/opt/ml/model/final.bin", "wb").write(struct.pack("<d", value))
