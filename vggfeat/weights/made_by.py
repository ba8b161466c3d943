"""The weights that some features were made by."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from vggfeat.errors import WeightsError
from vggfeat.weights import Weights, chosen_for, store

if TYPE_CHECKING:
    from vggfeat.recipe import Recipe
    from vggfeat.watcher import Watcher


def made_by(
    recipe: Recipe,
    asked: str | os.PathLike[str] | Weights | None,
    watcher: Watcher,
    what: str,
) -> Weights:
    """Those asked for, else those of the store that have the fingerprint: no others are fetched.

    Args:
        recipe: of the features.
        asked: with `--weights`; None for `$VGGFEAT_WEIGHTS` or the store.
        what: was made by them, in words: `feats.npy`.

    Raises:
        WeightsError: they are not here, or others are asked for.
    """
    wanted = f"{recipe.source} ({recipe.fingerprint[:8]})"
    spec = asked or _name_in_store(recipe.fingerprint) or os.environ.get("VGGFEAT_WEIGHTS")
    if spec is None:
        raise WeightsError(
            f"{what}: made by the weights {wanted}, which are not in the store: give them by "
            "--weights"
        )
    chosen = chosen_for(watcher, spec)
    if chosen.fingerprint != recipe.fingerprint:
        raise WeightsError(
            f"{what}: made by the weights {wanted}, not by {chosen.source} "
            f"({chosen.fingerprint[:8]}): give those by --weights"
        )
    return chosen


def _name_in_store(fingerprint: str) -> str | None:
    for name in store.names():
        with suppress(WeightsError):
            if store.open_weights(name).fingerprint == fingerprint:
                return name
    return None
