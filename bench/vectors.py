"""XTREME's two recipes of sentence vectors, Tatoeba's and BUCC's, each on both tasks' real sentences.

    python -m bench.vectors MODEL [--pairs 100] [--distractors 150] > vectors.json

MODEL is a folder of a multilingual encoder. Tatoeba: accuracy over some languages. BUCC zh-en dev: all gold pairs among
the first other sentences of each side, F1 at the best threshold of these very sentences, which flatters both alike.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from bench.peers import DATA
from bench.retrieval import lines
from xtreme_dag.evaluation.embeddings import VECTORS, embed
from xtreme_dag.evaluation.engine import Sequences, Settings
from xtreme_dag.evaluation.mining import distinct, id_pairs, mine
from xtreme_dag.evaluation.search import top_k
from xtreme_dag.heads.trained import TrainedModel, load_model
from xtreme_dag.scoring.mining import accepted, best_threshold
from xtreme_dag.tables.tokenizer_files import load_tokenizer

LANGUAGES = ("deu", "cmn", "swh", "jav")
LENGTH = 128


def main() -> None:
    """Prints the figures of each recipe as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--distractors", type=int, default=150)
    given = parser.parse_args()
    model = load_model(given.model)
    found: dict[str, dict[str, float]] = {}
    for name in VECTORS:
        print(f"vectors: {name}", file=sys.stderr, flush=True)
        own = {language: tatoeba(given.model, model, name, language, given.pairs) for language in LANGUAGES}
        found[name] = {
            **own,
            "tatoeba": float(np.mean(list(own.values()))),
            "bucc zh": bucc(given.model, model, name, given.distractors),
        }
    print(json.dumps(found, indent=1))


def tatoeba(folder: Path, model: TrainedModel, name: str, language: str, pairs: int) -> float:
    """Accuracy in percent of the English sentences' nearest foreign ones."""
    texts = [
        (DATA / "tatoeba" / f"tatoeba.{language}-eng.{side}").read_text(encoding="utf-8").split("\n")[:pairs]
        for side in ("eng", language)
    ]
    english, foreign = (vectors(folder, model, name, side) for side in texts)
    return 100.0 * float((top_k(english, foreign, 1).rows[:, 0] == np.arange(len(english))).mean())


def bucc(folder: Path, model: TrainedModel, name: str, distractors: int) -> float:
    """F1 in percent of the mined pairs at the threshold that is best for them."""
    gold = {tuple(line.split("\t")[:2]) for line in lines("zh-en.dev.gold")}
    pools = []
    for place, file in enumerate(("zh-en.dev.zh.gz", "zh-en.dev.en.gz")):
        wanted = {pair[place] for pair in gold}
        rows = [line.split("\t", 1) for line in lines(file)]
        others = [row for row in rows if row[0] not in wanted][:distractors]
        chosen = [row for row in rows if row[0] in wanted] + others
        pools.append((distinct(*map(list, zip(*chosen, strict=True))), [text for _, text in chosen]))
    sides = [vectors(folder, model, name, [texts[row] for row in pool.first]) for pool, texts in pools]
    found = id_pairs(mine(*sides), pools[0][0], pools[1][0])
    scores, right = [score for *_, score in found], [pair[:2] in gold for pair in found]
    taken = accepted(scores, best_threshold(scores, right, len(gold)))
    return 200.0 * float(np.sum(taken & np.array(right))) / (int(taken.sum()) + len(gold))


def vectors(folder: Path, model: TrainedModel, name: str, texts: Sequence[str]) -> np.ndarray:
    """A recipe's vectors of texts, float32 (texts, width)."""
    flat = load_tokenizer(folder).encode(list(texts), None, LENGTH)
    sequences = Sequences(
        ids=flat.ids.astype(np.int32),
        offsets=np.concatenate([[0], np.cumsum(flat.lengths)]).astype(np.int64),
        type_ids=flat.type_ids,
    )
    settings = Settings(device=torch.device("cpu"), batch_tokens=1024)
    return embed(sequences, (), model, settings, task="", recipe={"vectors": name})


if __name__ == "__main__":
    main()
