"""Types in the signatures of a head's functions (`signatures as t`), for type checkers alone: their import is slow."""

from numpy.random import Generator
from pyarrow import Table
from torch import Tensor

from xtreme_dag.heads.batches import Array, HostBatch, Ints
from xtreme_dag.heads.encoding import Encoded, EncodeParams, Int8, Int32
from xtreme_dag.model.layers import HeadModule
from xtreme_dag.tables.encoded import EncodedTable
from xtreme_dag.tables.tokenizer import Frame, TextTokenizer

__all__ = ["Array", "EncodeParams", "Encoded", "EncodedTable", "Frame", "Generator", "HeadModule", "HostBatch", "Int8",
           "Int32", "Ints", "Table", "Tensor", "TextTokenizer"]  # fmt: skip
