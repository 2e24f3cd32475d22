"""Signatures of a mirror's records, for teams whose mirror others can write to: HMAC-SHA256 (RFC 2104) with a shared secret.

A record names its artifact by digest, so its signature covers every byte of it. The secret is in the environment alone,
and the processes that run stages do not get it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from typing import Any

from xtreme_dag.core.errors import UserError
from xtreme_dag.core.files import canonical

VARIABLE = "XTREME_DAG_MIRROR_SECRET"
_LEAST = 16  # characters; a short secret can be guessed from any record
_FIELD = "signature"


class Refused(Exception):
    """A record is not signed as it has to be."""


def secret() -> bytes:
    """The shared secret; empty if records are not signed.

    Raises:
        UserError: it is too short.
    """
    found = os.environ.get(VARIABLE, "")
    if found and len(found) < _LEAST:
        raise UserError(f"is shorter than {_LEAST} characters", where=VARIABLE, fix="openssl rand -hex 32 makes one")
    return found.encode()


def signed(content: bytes) -> bytes:
    """A record's file as the mirror gets it: with a signature, if there is a secret."""
    if not (key := secret()):
        return content
    manifest = json.loads(content)
    return json.dumps({**manifest, _FIELD: _signature(manifest, key)}, ensure_ascii=False).encode()


def opened(content: bytes) -> bytes:
    """A record's file as it was before it was signed.

    Raises:
        Refused: there is a secret, and the file is not signed with it; says so.
    """
    key = secret()
    try:
        manifest = json.loads(content)
        claimed = manifest.pop(_FIELD, None)
    except (ValueError, RecursionError, AttributeError, TypeError):
        return content  # it is no record, as whoever reads it finds
    if not key:
        return content if claimed is None else json.dumps(manifest, ensure_ascii=False).encode()
    if claimed is None:
        raise Refused(f"it is not signed, and {VARIABLE} is set")
    if not hmac.compare_digest(str(claimed).encode(errors="replace"), _signature(manifest, key).encode()):
        raise Refused(f"it is not signed with the secret of {VARIABLE}")
    return json.dumps(manifest, ensure_ascii=False).encode()


def _signature(manifest: Any, key: bytes) -> str:
    return hmac.new(key, canonical(manifest).encode(), hashlib.sha256).hexdigest()
