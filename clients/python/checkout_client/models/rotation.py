from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define

from ..models.rotation_signing import RotationSigning, check_rotation_signing
from ..types import UNSET, Unset

T = TypeVar("T", bound="Rotation")


@_attrs_define
class Rotation:
    """
    Attributes:
        expires_in (int | Unset): For how many seconds the secrets before go on signing, beside the new one. Example:
            86400.
        signing (RotationSigning | Unset): Of which scheme it is; by default as before.
    """

    expires_in: int | Unset = UNSET
    signing: RotationSigning | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        expires_in = self.expires_in

        signing: str | Unset = UNSET
        if not isinstance(self.signing, Unset):
            signing = self.signing

        field_dict: dict[str, Any] = {}

        field_dict.update({})
        if expires_in is not UNSET:
            field_dict["expires_in"] = expires_in
        if signing is not UNSET:
            field_dict["signing"] = signing

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        expires_in = d.pop("expires_in", UNSET)

        _signing = d.pop("signing", UNSET)
        signing: RotationSigning | Unset
        if isinstance(_signing, Unset):
            signing = UNSET
        else:
            signing = check_rotation_signing(_signing)

        made_of_it = cls(
            expires_in=expires_in,
            signing=signing,
        )

        return made_of_it
