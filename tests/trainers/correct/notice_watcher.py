"""Looks for the interruption notice between steps, saves once when it is there, and trains on until the end."""

import os
import sqlite3
import time

NOTICE = os.environ.get("SPOT_INTERRUPTION_NOTICE_FILE", "/nonexistent")
DB = "/opt/ml/checkpoints/snapshots/{:05d}.db"


def snapshot(step, table):
    os.makedirs(os.path.dirname(DB), exist_ok=True)
    path = DB.format(step)
    scratch = f"/tmp/{os.path.basename(path)}"
    with sqlite3.connect(scratch) as db:
        db.execute("create table q (state integer primary key, value real)")
        db.executemany("insert into q values (?, ?)", table.items())
    db.close()
    data = open(scratch, "rb").read()
    with open(path + ".tmp", "wb") as out:
        out.write(data)
    os.replace(path + ".tmp", path)
    os.unlink(scratch)


def recover():
    folder = os.path.dirname(DB)
    names = sorted(n for n in os.listdir(folder) if n.endswith(".db")) if os.path.isdir(folder) else []
    if not names:
        return 0, dict.fromkeys(range(50), 0.0)
    db = sqlite3.connect(f"file:{folder}/{names[-1]}?mode=ro", uri=True)
    table = dict(db.execute("select state, value from q"))
    db.close()
    return int(names[-1][:-3]), table


episode, q = recover()
warned = False
while episode < 100:
    episode += 1
    for s in q:
        q[s] += 0.05 * (s / 50 - q[s])
    time.sleep(0.03)
    print(f"episode={episode} mean_reward={sum(q.values()) / 50:.5f}", flush=True)
    noticed = os.path.exists(NOTICE)
    if episode % 25 == 0 or (noticed and not warned):
        snapshot(episode, q)
        warned = noticed
with open("/opt/ml/model/q.csv", "w") as f:
    f.writelines(f"{s},{v}\n" for s, v in q.items())
