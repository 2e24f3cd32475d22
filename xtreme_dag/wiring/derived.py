"""Adds the stages that derive tables from tables: translations, and texts for objectives without labels."""

from __future__ import annotations

from collections.abc import Callable

from xtreme_dag import formats
from xtreme_dag.catalogue.catalogue import Catalogue, TableRef
from xtreme_dag.core.english import ENGLISH
from xtreme_dag.core.errors import UserError
from xtreme_dag.engine.graph import Graph, Output, Source, Stage
from xtreme_dag.formats import parallel_text, plain_text
from xtreme_dag.study.sections import PARALLEL_OBJECTIVES, Objective, Pretrained, Translation
from xtreme_dag.wiring.kinds import PREPARE, TRANSLATE
from xtreme_dag.wiring.tables import Raw, Tables

ModelOf = Callable[[Pretrained], Source | Output]


class Derived:
    """Adds the stages that derive tables from tables.

    Args:
        tables: the tables of the source.
        graph: receives the stages.
        catalogue: all datasets and tasks.
        model_of: gives the folder of a sequence-to-sequence model, as an input.
    """

    def __init__(self, tables: Tables, graph: Graph, catalogue: Catalogue, model_of: ModelOf) -> None:
        self._tables = tables
        self._graph = graph
        self._catalogue = catalogue
        self._model_of = model_of

    def translated(self, ref: TableRef, language: str, translation: Translation, where: str) -> Raw:
        """Adds `translate`: the English table of a dataset, translated into another language.

        Raises:
            UserError: the format cannot be translated, or no model is named for the language.
        """
        dataset = self._catalogue.dataset(ref.dataset)
        format = formats.get(dataset.format)
        if format.translation is not None and format.translation.follows == "words" and translation.by == "model":
            raise UserError(
                f"{dataset.name}: tags cannot follow the words through a sequence-to-sequence model", where=where,
                fix="translated: lexicon keeps words and tags together (miniworld)",
            )  # fmt: skip
        return self._translated(ref, ENGLISH, language, translation, where)

    def test(self, ref: TableRef, language: str, into: str, translation: Translation, where: str) -> Raw:
        """Adds `translate`: a test in a language, translated into the language that the task is trained in.

        Its rows stay those of the test's language, and its gold stays: of a table whose gold is a place in the text
        nothing could be scored against it.

        Raises:
            UserError: the format's gold belongs to the text, or no model is named for the language.
        """
        dataset = self._catalogue.dataset(ref.dataset)
        translation_of = formats.get(dataset.format).translation
        reasons = {
            "words": "its gold tags belong to the words of the original, a translation has others",
            "answers": "its gold answers are pieces of the original text, of which a translation has none",
        }
        if translation_of is None or translation_of.follows:
            reason = reasons[translation_of.follows] if translation_of else "it tests representations of its language"
            able = [
                name
                for name, each in formats.FORMATS.items()
                if each.layout and each.translation and not each.translation.follows
            ]
            raise UserError(
                f"the test of {dataset.name} ({dataset.format}) cannot be translated: {reason}", where=where,
                fix=f"leave it out of the targets of this study; translate-test is for {', '.join(able)}",
            )  # fmt: skip
        return self._translated(ref, language, into, translation, where, tested=True)

    def _translated(
        self, ref: TableRef, source: str, target: str, translation: Translation, where: str, *, tested: bool = False
    ) -> Raw:
        """Adds `translate` of a table from a language into another; `tested`: its rows stay those of the former."""
        dataset, language = self._catalogue.dataset(ref.dataset), source if tested else target
        format = formats.get(dataset.format)
        if format.translation is None:
            raise UserError(f"{dataset.name} ({dataset.format}) cannot be translated", where=where)
        if translation.by == "lexicon" and self._tables.source.kind != "miniworld":
            raise UserError(
                "the lexicon translates the miniworld's words alone", where=where, fix="translated: {by: model, ...}"
            )
        original = self._tables.canonical(ref, source)
        inputs: dict[str, Source | Output] = {"table": Output(stage=original.stage)}
        settings: dict[str, object] = {
            "by": translation.by,
            "rows": translation.rows,
            **({"into": target} if tested else {}),
        }
        libraries: tuple[str, ...] = ()
        pretrained = translation.model_of(language)
        if pretrained is not None:
            inputs["model"] = self._model_of(pretrained)
            # Without its own code a language would be read, or written, as the tokenizer's default one.
            for code in (target, *([source] if tested else ())):
                if translation.codes and code not in translation.codes:
                    fix = f"name the model's own token of each language that is read or written: {{{code}: ...}}"
                    raise UserError(f"codes has no {code!r}", where=where, fix=fix)
            settings |= {"beams": translation.beams, "max_length": translation.max_length}
            settings |= {"code": translation.codes.get(target)}
            settings |= {"reads": translation.codes[source]} if source in translation.codes else {}
            # Marian's tokenizer reads with the one, and normalises with the other where it is installed.
            libraries = ("torch", "transformers", "tokenizers", "sentencepiece", "sacremoses")
        made = f"translated by {translation.by}" + (f" into {target}" if tested else "")
        facts = {"dataset": dataset.name, "language": language, "split": ref.split}
        name = f"translate[{dataset.name} | {language} | {ref.split} | {translation.by}{f' into {target}' if tested else ''}]"
        stage = Stage(
            of=TRANSLATE,
            name=name,
            function=f"xtreme_dag.data.derive.translate:translate_by_{translation.by}",
            params={**facts, "format": format.name, "declared": format.facts("columns", "translation"), **settings},
            inputs=inputs,
            after=original.gates,
            more_libraries=libraries,
            labels=facts,
        )
        if name in self._graph and self._graph[name] != stage:
            raise UserError(
                "the same table is translated in two ways", where=where, fix=f"{name}: use one `translated` for all"
            )
        return Raw(
            stage=self._graph.add(stage).name,
            dataset=dataset.name,
            format=dataset.format,
            language=language,
            split=ref.split,
            labels=dataset.labels,
            made=(made,),
        )

    def text(self, ref: TableRef, language: str, objective: Objective, where: str) -> Raw:
        """Adds the stage that makes an objective's text from a dataset; for `mlm` a table of plain text is used as it is.

        Raises:
            UserError: the objective needs parallel text and the dataset is none.
        """
        dataset = self._catalogue.dataset(ref.dataset)
        format = formats.get(dataset.format)
        if objective.name == "mlm" and format == plain_text.FORMAT:
            return self._tables.canonical(ref, language)
        parallel = format.parallel
        if objective.name in PARALLEL_OBJECTIVES and not parallel and not dataset.parallel:
            raise UserError(f"{objective.name} needs parallel text, {dataset.name} is none", where=where,
                            fix="parallel_text, or a dataset with the same items in every language, such as xnli")  # fmt: skip
        if objective.name != "mlm" and language == ENGLISH:
            raise UserError(f"{objective.name} pairs a language with English: English alone is no pair", where=where)
        pair = objective.name != "mlm"
        table = self._tables.canonical(ref, language)
        inputs: dict[str, Source | Output] = {"table": Output(stage=table.stage)}
        gates = table.gates
        if pair and not parallel:
            english = self._tables.canonical(ref, ENGLISH)
            inputs["english"] = Output(stage=english.stage)
            gates = (*gates, *english.gates)
        facts = {"dataset": dataset.name, "language": language, "split": ref.split}
        declared = format.facts("columns", "texts")
        params = {**facts, "format": format.name, "declared": declared, **objective.model_dump(exclude_none=True)}
        size = f" {objective.chunks} chunks" if objective.chunks else ""
        seed = f" seed {objective.seed}" if objective.seed else ""
        made = f"{objective.name}{size}{seed}"
        stage = Stage(
            of=PREPARE,
            name=f"prepare[{dataset.name} | {language} | {ref.split} | {made}]",
            function="xtreme_dag.data.derive.objectives:make_text",
            params=params,
            inputs=inputs,
            after=gates,
            labels=facts,
        )
        return Raw(
            stage=self._graph.add(stage).name,
            dataset=dataset.name,
            format=(parallel_text if objective.name in ("tlm", "tlm_chat", "response") else plain_text).FORMAT.name,
            language=f"{language}+{ENGLISH}" if pair else language,
            split=ref.split,
            made=(made,),
            gates=gates,
        )
