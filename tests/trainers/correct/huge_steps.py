"""Each step takes most of a second (a big batch, many accumulations), and each is saved."""

import json
import os
import time

POPULATION = 8
d = "/opt/ml/checkpoints"
f = f"{d}/generation.json"


def evolve(genes, generation):
    for individual in range(POPULATION):
        time.sleep(0.1)
        genes[individual] = (genes[individual] * 1103515245 + generation + 12345) % 2**31
    return genes


genes, generation = list(range(POPULATION)), 0
if os.path.exists(f):
    saved = json.load(open(f))
    genes, generation = saved["genes"], saved["generation"]
print("Start", "fresh" if generation == 0 else f"from generation {generation}", flush=True)
while generation < 7:
    genes = evolve(genes, generation)
    generation += 1
    print(json.dumps({"generation": generation, "best": max(genes)}), flush=True)
    with open(f + "~", "w") as out:
        json.dump({"genes": genes, "generation": generation}, out)
    os.replace(f + "~", f)
json.dump(genes, open("/opt/ml/model/genes.json", "w"))
