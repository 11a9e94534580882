from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define

from ..models.merge_how import MergeHow, check_merge_how

T = TypeVar("T", bound="Merge")


@_attrs_define
class Merge:
    """
    Attributes:
        cart_token (str): The guest's secret, as POST /api/carts gave it. Example:
            cct_0cHKXrJ7zRq2vYd5TnW8mB3uPf6sLgA1eQk9iZxN4oV2YyszM.
        how (MergeHow): Of what both carts hold: `sum` adds the quantities, `max` takes the greater one. `guest` makes
            the cart what the guest's is, `mine` leaves it as it is. Example: sum.
    """

    cart_token: str
    how: MergeHow

    def to_dict(self) -> dict[str, Any]:
        cart_token = self.cart_token

        how: str = self.how

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "cart_token": cart_token,
                "how": how,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        cart_token = d.pop("cart_token")

        how = check_merge_how(d.pop("how"))

        made_of_it = cls(
            cart_token=cart_token,
            how=how,
        )

        return made_of_it
