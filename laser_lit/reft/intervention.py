"""What a user says of an intervention: where, at which tokens, which form, how large."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from laser_lit.errors import InputError, unknown_name
from laser_lit.reft.methods import check_method
from laser_lit.reft.positions import Positions, Share


@dataclass(frozen=True)
class Intervention:
    """One kind of intervention, on one component of some layers.

    Attributes:
        layer: index from 0, negative from the end, several, or "all"; None where `component` is a module's path.
        component: what is edited: block_output, mlp_output, …, or a module's path as model.layers.2.mlp.input.
        type: loreft, noreft, direft, nodireft, consreft or lobireft.
        rank: r.
        positions: tokens of the prompt: f7+l7 (the first and last 7), f1, l1, …
        share: all (one set of parameters for all positions), ends (one for the first, one for the last), none (one a
            position).
        act_fn: activation of the linear source, linear or one of transformers'.
        dropout: share of the edited state's entries that training sets to 0.
        dtype: of the parameters.
        bias: whether noreft and nodireft have one.
    """

    layer: int | str | tuple[int, ...] | None = None
    component: str = "block_output"
    type: str = "loreft"
    rank: int = 4
    positions: str = "l1"
    share: Share = "all"
    act_fn: str = "linear"
    dropout: float = 0.0
    dtype: str = "float32"
    bias: bool = True

    def __post_init__(self) -> None:
        check_method(self.type, self.rank, act_fn=self.act_fn, dropout=self.dropout, dtype=self.dtype, bias=self.bias)
        Positions.parse(self.positions).slots(self.share)
        if isinstance(self.layer, list):
            object.__setattr__(self, "layer", tuple(self.layer))

    @classmethod
    def of(cls, values: Mapping[str, Any], where: str) -> "Intervention":
        """Returns an intervention of a mapping's values.

        Args:
            values: by the attributes' names.
            where: where they stand, for errors.

        Raises:
            InputError: unknown names, or values that cannot be meant.
        """
        known = [field.name for field in fields(cls)]
        for name in values:
            if name not in known:
                raise unknown_name(f"field of an intervention in {where}", name, known)
        try:
            return cls(**values)
        except TypeError as error:
            raise InputError(f"{where}: {dict(values)} is no intervention ({error})") from error

    def describe(self) -> dict[str, Any]:
        """Returns the attributes as plain values."""
        values = asdict(self)
        return {**values, "layer": list(self.layer) if isinstance(self.layer, tuple) else self.layer}
