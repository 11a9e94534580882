"""Doctor: looks at what surrounds the service, and says what to do about each finding.

Holds checks of settings, database, roles, broker and clocks, on the host where it is run.
Promises: every check is bounded in time, changes nothing, and one that cannot be made says so.
Never: prints a secret. The app registers its command; nobody else comes in.
"""
