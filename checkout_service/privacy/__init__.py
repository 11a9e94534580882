"""Privacy: a person's data, given out to them or erased.

Holds the list of what every column says of a person, the export, and the command line.
Promises: what a column says is decided when it is added; an export is everything that is held; erasing goes on after a
crash, and touches no money.
Never: erases by itself: the worker does, by one function of the tables' owner.
"""
