"""The official rules once more, written plainly and slowly, as the yardstick for the scoring modules.

Nothing here shares code with the package: characters are looked at one by one, chunks are found by a state machine,
rankings are sorted in full. Sources: evaluate-v1.1.py, evaluate-v2.0.py, mlqa_evaluation_v1.py, seqeval 1.2.2,
google-research/xtreme 838c13b (evaluate.py, utils_retrieve.py, utils_lareqa.py, utils_mewslix.py).
"""

import re
import unicodedata
from collections import Counter

ASCII_PUNCTUATION = set("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
ARTICLES = {
    "de": ["ein", "eine", "einen", "einem", "eines", "einer", "der", "die", "das", "den", "dem", "des"],
    "en": ["a", "an", "the"],
    "es": ["un", "una", "unos", "unas", "el", "la", "los", "las"],
    "vi": ["của", "là", "cái", "chiếc", "những"],
}


def without_articles(text, articles):
    """Words between word boundaries, replaced by a blank: a match is longest among those that end at a boundary."""
    for_language = "|".join(sorted(articles, key=len, reverse=True))
    return re.sub(rf"\b(?:{for_language})\b", " ", text)


def squad_tokens(text):
    kept = "".join(character for character in text.lower() if character not in ASCII_PUNCTUATION)
    return without_articles(kept, ARTICLES["en"]).split()


def mlqa_tokens(text, language):
    kept = ""
    for character in text.lower():
        if character not in ASCII_PUNCTUATION and not unicodedata.category(character).startswith("P"):
            kept += character
    if language in ARTICLES:
        kept = without_articles(kept, ARTICLES[language])
    if language == "ar":
        kept = kept.replace("ال", " ")
    if language == "zh":
        kept = "".join(f" {c} " if 0x4E00 <= ord(c) <= 0x9FA5 else c for c in kept)
    return kept.split()


def bag_f1(given, wanted):
    same = sum((Counter(given) & Counter(wanted)).values())
    return 2 * same / (len(given) + len(wanted)) if same else 0.0


def answer_scores(golds, answers, tokenise):
    """Exact match and F1 in percent."""
    em = f1 = 0.0
    for wanted, answer in zip(golds, answers, strict=True):
        if answer is not None:
            given = tokenise(answer)
            em += max(given == tokenise(text) for text in wanted)
            f1 += max(bag_f1(given, tokenise(text)) for text in wanted)
    return 100 * em / len(golds), 100 * f1 / len(golds)


def squad_v2_scores(golds, answers):
    """Exact match and F1 (0-1) of each question."""
    em, f1 = [], []
    for wanted, answer in zip(golds, answers, strict=True):
        texts = [text for text in wanted if squad_tokens(text)] or [""]
        pairs = [(squad_tokens(answer), squad_tokens(text)) for text in texts]
        em.append(float(any(given == right for given, right in pairs)))
        f1.append(
            max(float(given == right) if not given or not right else bag_f1(given, right) for given, right in pairs)
        )
    return em, f1


def squad_v2_best_threshold(scores, has_answer, answers, no_answer):
    """Questions let through one by one by rising probability of no answer."""
    running = best = float(sum(not has for has in has_answer))
    threshold = 0.0
    for row in sorted(range(len(scores)), key=lambda row: no_answer[row]):
        running += scores[row] if has_answer[row] else -float(bool(answers[row]))
        if running > best:
            best, threshold = running, no_answer[row]
    return 100 * best / len(scores), threshold


def mining_threshold(candidates, gold):
    """The official sweep; None where it fails because the best state is the last."""
    ranked = sorted(candidates.items(), key=lambda item: -item[1])
    best, threshold, right = 0.0, 0.0, 0
    for place, (pair, score) in enumerate(ranked):
        right += pair in gold
        if right:
            precision, recall = right / (place + 1), right / len(gold)
            f1 = 2 * precision * recall / (precision + recall)
            if f1 > best:
                if place + 1 == len(ranked):
                    return None
                best, threshold = f1, (score + ranked[place + 1][1]) / 2
    return threshold


def average_precision(right, ranked, cut_off=None):
    """LAReQA's average precision of one ranked list."""
    shown = ranked[:cut_off] if cut_off else ranked
    hits, total, seen = 0, 0.0, set()
    for place, candidate in enumerate(shown, start=1):
        if candidate in right and candidate not in seen:
            hits += 1
            total += hits / place
        seen.add(candidate)
    return total / (min(len(right), cut_off) if cut_off else len(right))


def reciprocal_rank(right, ranked, cut_off=20):
    """Mewsli-X's reciprocal rank."""
    return next((1 / place for place, name in enumerate(ranked[:cut_off], start=1) if name == right), 0.0)
