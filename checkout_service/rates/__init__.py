"""How often a caller may do something: counted in the cache, told in headers, refused as ``rate-limited``."""
