from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

if TYPE_CHECKING:
    from ..models.authorization import Authorization
    from ..models.capture import Capture
    from ..models.capture_request import CaptureRequest
    from ..models.void import Void


T = TypeVar("T", bound="Captures")


@_attrs_define
class Captures:
    """
    Attributes:
        captures (list[Capture]):
        requests (list[CaptureRequest]):
        voids (list[Void]):
        authorizations (list[Authorization]):
        several_captures (bool): Whether an authorization may be captured several times: else one releases the rest.
    """

    captures: list[Capture]
    requests: list[CaptureRequest]
    voids: list[Void]
    authorizations: list[Authorization]
    several_captures: bool
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        captures = []
        for captures_item_data in self.captures:
            captures_item = captures_item_data.to_dict()
            captures.append(captures_item)

        requests = []
        for requests_item_data in self.requests:
            requests_item = requests_item_data.to_dict()
            requests.append(requests_item)

        voids = []
        for voids_item_data in self.voids:
            voids_item = voids_item_data.to_dict()
            voids.append(voids_item)

        authorizations = []
        for authorizations_item_data in self.authorizations:
            authorizations_item = authorizations_item_data.to_dict()
            authorizations.append(authorizations_item)

        several_captures = self.several_captures

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "captures": captures,
                "requests": requests,
                "voids": voids,
                "authorizations": authorizations,
                "several_captures": several_captures,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.authorization import Authorization
        from ..models.capture import Capture
        from ..models.capture_request import CaptureRequest
        from ..models.void import Void

        d = dict(src_dict)
        captures = []
        _captures = d.pop("captures")
        for captures_item_data in _captures:
            captures_item = Capture.from_dict(captures_item_data)

            captures.append(captures_item)

        requests = []
        _requests = d.pop("requests")
        for requests_item_data in _requests:
            requests_item = CaptureRequest.from_dict(requests_item_data)

            requests.append(requests_item)

        voids = []
        _voids = d.pop("voids")
        for voids_item_data in _voids:
            voids_item = Void.from_dict(voids_item_data)

            voids.append(voids_item)

        authorizations = []
        _authorizations = d.pop("authorizations")
        for authorizations_item_data in _authorizations:
            authorizations_item = Authorization.from_dict(authorizations_item_data)

            authorizations.append(authorizations_item)

        several_captures = d.pop("several_captures")

        made_of_it = cls(
            captures=captures,
            requests=requests,
            voids=voids,
            authorizations=authorizations,
            several_captures=several_captures,
        )

        made_of_it.additional_properties = d
        return made_of_it

    @property
    def additional_keys(self) -> list[str]:
        return list(self.additional_properties.keys())

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.additional_properties[key] = value

    def __delitem__(self, key: str) -> None:
        del self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
