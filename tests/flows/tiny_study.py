"""The smallest study that trains and evaluates: one task, one seed, two steps of pretraining."""

# Great Expectations takes seconds to import: what is not about contracts goes without.
DATA = {"miniworld": {"seed": 1, "languages": ["en"], "train": 16, "select": 4, "test": 4}, "contracts": False}
STUDY = {
    "study": "tiny",
    "data": DATA,
    "model": {"pretrain": {"kind": "planted", "seed": 1, "steps": 2}},
    "seeds": [1],
    "intermediate": {"none": {}},
    "targets": ["xnli"],
    "recipe": {"name": "quick", "target": {"default": {"epochs": 1, "batch_size": 8, "examples": 16}}},
    "compare": {"baseline": "none"},
}
CHECKED = {**STUDY, "data": {**DATA, "contracts": True}}
