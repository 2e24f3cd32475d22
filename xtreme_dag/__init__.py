"""xtreme-dag: from raw benchmark data to the answer of a question about cross-lingual transfer, in cached stages."""

__version__ = "0.1.0"
