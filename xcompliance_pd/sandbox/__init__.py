"""A local service that speaks X's batch compliance API over HTTP on this machine only.

It needs no account, costs nothing, and knows the truth about every ID, so what a client made of an
exchange can be compared with it. ``python -m xcompliance_pd.sandbox`` runs it in a terminal.

How the pieces lie: `chance` and `given` decide what becomes of an ID, `fates` joins them and states the
truth; `dialects` are the two ways in which X has spoken; `service` is X's state machine without any HTTP; `signing`
and `tickets` make and check the byte URLs of each dialect; `api` and `storage` put the two hosts' habits around it,
`xapi` those of the newer dialect's one host; `openapi` describes both; `wire` is the plumbing all share; `faults`
spoils chosen requests; `server` starts and stops. Facts carry their source in a comment: "recorded 2021-11" means
headers and bodies recorded from the real service and published with open-source clients; "guess" means that
no source states it.
"""

from .server import Server

__all__ = ["Server"]
