"""The log of events: what happened to money, orders, disputes and stock, for the shop's programs.

Holds the types, the reads by number, and the API that programs read on with, or wait at.
Promises: no event ever appears behind a number that was read; its object goes out as it was written, byte for byte.
Never: writes an event, or gives one its number: the owner's functions do (migrations/events).
"""
