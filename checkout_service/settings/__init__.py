"""Settings: everything that comes from the environment.

Holds one frozen, typed set for each kind of process, the reader of the environment, and what an account at a provider
is.
Promises: every fault is reported at start, all at once, with the setting's name. A setting that was renamed is refused
with its new name. A secret never prints.
Never: reads the environment a second time while a process runs; knows which providers there are.
"""
