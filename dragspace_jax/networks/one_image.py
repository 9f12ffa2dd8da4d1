"""An array of one image's latents as a caller gives it, checked against what the network takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float32


def one_image(
    value: Any, shape: tuple[int, ...], failure: Callable[[str], Exception], *, name: str
) -> Float32[np.ndarray, " ..."]:
    """A copy as float32, of this shape; a leading axis of one image is dropped.

    Args:
      value: what the caller gave; it may use its array again.
      shape: what the network takes.
      failure: makes the error of a message, raised if it is no array of finite real numbers of that shape.
      name: of the array, for the message.
    """
    try:
        if np.iscomplexobj(value):
            raise ValueError("they are complex")
        array = np.array(value, np.float32)
    except (TypeError, ValueError) as error:
        raise failure(f"the {name} are not an array of numbers: {error}") from error
    array = array[0] if array.ndim == len(shape) + 1 and array.shape[0] == 1 else array
    if array.shape != shape:
        raise failure(f"the {name} have shape {array.shape}; the model takes {list(shape)}")
    if not np.isfinite(array).all():
        raise failure(f"the {name} hold numbers that are not finite")
    return array
