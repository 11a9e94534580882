"""Stock: what lies there, what of it is reserved, and the holds that reserve it.

Holds counters of listings and holds of payments. Takes holds before a provider is asked and gives them back; ``flask
stock`` enters what lies there.
Promises: all lines are held or none; no piece is held for two. The rules live in the database
(``migrations/orders/stock.sql``): ``hold_take`` and ``hold_release`` for the web tier, ``holds_sweep`` for the worker,
and a trigger that carries what lies there from a listing to its counter.
Never: asks a provider, knows what a piece costs.
"""
