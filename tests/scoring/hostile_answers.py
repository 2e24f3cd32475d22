"""Answers and tags as no model should give them, from real ones and a seed."""

import unicodedata

PIECES = [
    *"aAtThHeE.,;:!?'\"-_()[]{}$%&*/\\|<>=+^`~#@…–—«»„“‚‘’¿¡、。，！？（）「」《》・：；～｡·؟،؛٪۔।॥፡᠃‐ªº²٣३ΑßİıſﬁÅé",
    *"\u00a0\u3000\u200b\u200c\u200d\u200e\u202f\u2028\u0085\x1c\t\n\ufeff\u0301",
    *"中文龥龦一㐀𠀀한ไहиو़ـً😀｡Ａａ１．－＿",
    "ال", " a ", " an ", " the ", "THE", "ein", "der", " das ", "des", "el", "LA", " los", "của", "là", "Những", "cái",
]  # fmt: skip
PUNCTUATION = ".,;:!?…—«»、。؟॥_-'\""
BLANKS = ["\u00a0", "  ", "\u3000", "-", "\u200b", "—"]


def full_width(text):
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


def noise(random, most=12):
    return "".join(random.choice(PIECES) for _ in range(random.randrange(most)))


def hostile(random, answer, other):
    """One disturbed answer; `other` is an answer to another question."""
    words = answer.split(" ")
    random.shuffle(words)
    cut = random.randrange(len(answer) + 1)
    place = random.randrange(len(answer) + 1)
    return random.choice(
        [
            answer, answer, "", other, answer.upper(), full_width(answer), " ".join(words), answer[cut:], answer[:cut],
            unicodedata.normalize("NFD", answer), unicodedata.normalize("NFKC", answer), f"{answer} {other}",
            answer[:place] + noise(random) + answer[place:], noise(random),
            "".join(random.choice(PUNCTUATION) for _ in range(3)), answer.replace(" ", random.choice(BLANKS)),
            random.choice(["the ", "der ", "el ", "ال", "của "]) + answer, f"«{answer}».",
        ]
    )  # fmt: skip


def disturbed_tags(random, sentences, kinds, share=0.15):
    """Tags with some replaced by others."""
    return [[random.choice(kinds) if random.random() < share else tag for tag in tags] for tags in sentences]
