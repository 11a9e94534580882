"""Operations: each is a module with `sync`, `sync_detailed`, `asyncio` and `asyncio_detailed`."""
