from typing import Literal, cast

ListListingsSort = Literal["newest", "price", "title"]


def check_list_listings_sort(value: str) -> ListListingsSort:
    # A word that is newer than this client is let through.
    return cast(ListListingsSort, value)
