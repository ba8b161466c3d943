"""Which column of a table holds the images, or where they are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from vggfeat.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa

_NAMES_OF_IMAGES = frozenset(
    "image images img imgs jpg jpeg png webp picture photo pixels bytes content data binary blob"
    " image_bytes img_bytes image_data image_content".split()
)
_NAMES_OF_PATHS = frozenset(
    "path paths file files file_name filename filepath file_path fname url urls uri image_path"
    " img_path image_file image_url img_url image image_uri location key_path picture photo".split()
)


def column_of(schema: pa.Schema, asked: str | None, name: str) -> int:
    """The place of a table's column of images: their bytes, or else their paths or addresses.

    Bytes go before paths. Of several columns the one counts that Hugging Face's metadata tells,
    or the only one whose name is usual for it, or the only one there is.

    Args:
        asked: its name, where the user gives it.
        name: of the table.

    Raises:
        UsageError: there is none of that name, none that can be, or several.
    """
    if asked is not None:
        if asked not in schema.names:
            raise UsageError(f"{name}: no column {asked}; there are: {_listed(schema)}")
        place = int(schema.get_field_index(asked))
        if place < 0:
            raise UsageError(f"{name}: several columns are called {asked}")
        if not (holds_bytes(schema.types[place]) or holds_paths(schema.types[place])):
            raise UsageError(
                f"{name}: column {asked} is {schema.types[place]}: neither images' bytes, nor "
                "their paths or addresses"
            )
        return place
    for holds, usual in ((holds_bytes, _NAMES_OF_IMAGES), (holds_paths, _NAMES_OF_PATHS)):
        places = [place for place, type_ in enumerate(schema.types) if holds(type_)]
        told = [place for place in places if schema.names[place] in _told_by_hugging_face(schema)]
        named = [place for place in places if schema.names[place].lower() in usual]
        # Text may be anything, where nothing says what it is.
        only = places if holds is holds_bytes or len(schema) == 1 else []
        for some in (told, named, only):
            if len(some) == 1:
                return some[0]
        if places:
            break
    else:
        raise UsageError(
            f"{name}: no column holds images' bytes, or their paths or addresses; there are: "
            f"{_listed(schema)}"
        )
    raise UsageError(
        f"{name}: it is not clear which column holds the images; say --column NAME, of: "
        f"{_listed(schema)}"
    )


def holds_bytes(type_: pa.DataType) -> bool:
    """Whether values are bytes, or Hugging Face's `{bytes, path}`."""
    import pyarrow.types as is_

    if is_.is_struct(type_):
        place = type_.get_field_index("bytes")
        return place >= 0 and holds_bytes(type_.field(place).type)
    kinds = (is_.is_binary, is_.is_large_binary, is_.is_fixed_size_binary)
    view = getattr(is_, "is_binary_view", None)
    return any(kind(type_) for kind in kinds) or bool(view and view(type_))


def holds_paths(type_: pa.DataType) -> bool:
    """Whether values are text."""
    import pyarrow.types as is_

    if is_.is_dictionary(type_):
        return holds_paths(type_.value_type)
    view = getattr(is_, "is_string_view", None)
    text: bool = is_.is_string(type_) or is_.is_large_string(type_)
    return text or bool(view and view(type_))


def _told_by_hugging_face(schema: pa.Schema) -> set[str]:
    """The columns that the metadata of `datasets` calls images."""
    try:
        told: Any = json.loads((schema.metadata or {})[b"huggingface"])
        features = told["info"]["features"].items()
        return {name for name, feature in features if feature.get("_type") == "Image"}
    except (KeyError, ValueError, TypeError, AttributeError):
        return set()


def _listed(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name} ({field.type})" for field in schema)
