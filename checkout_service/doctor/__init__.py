"""Doctor: looks at what surrounds the service, and says what to do about each finding.

Holds checks of settings, database, roles, broker and clocks, on the host where it is run.
Promises: every check ends within a bounded time and changes nothing. A check that cannot be made says so.
Never: prints a secret. Only the app imports this room, for its command.
"""
