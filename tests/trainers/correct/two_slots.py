"""Two slots written in turn, each with a checksum in front: whatever a kill does, the other slot is whole."""

import signal
import sys
import time
import zlib
from pathlib import Path

SLOTS = [Path("/opt/ml/checkpoints") / name for name in ("slot-a.bin", "slot-b.bin")]
done = False


def handler(_signum, _frame):
    global done
    done = True


def pack(step, total):
    body = f"{step} {total!r}".encode()
    return zlib.crc32(body).to_bytes(4, "big") + body


def unpack(raw):
    if len(raw) > 4 and zlib.crc32(raw[4:]).to_bytes(4, "big") == raw[:4]:
        step, total = raw[4:].split()
        return int(step), float(total)
    return None


def main():
    signal.signal(signal.SIGTERM, handler)
    found = [c for slot in SLOTS if slot.exists() and (c := unpack(slot.read_bytes()))]
    step, total = max(found, default=(0, 0.0))
    turn = 0
    while step < 150:
        step += 1
        total += 1 / step
        time.sleep(0.02)
        print(f"{time.strftime('%FT%TZ')} level=info msg=trained step={step} loss={1 / total:.6f}", flush=True)
        if step % 10 == 0 or done:
            SLOTS[turn % 2].write_bytes(pack(step, total))
            turn += 1
        if done:
            sys.exit(0)
    Path("/opt/ml/model/total.txt").write_text(repr(total))


main()
