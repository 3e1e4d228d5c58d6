"""The embedded custom monitor: keeps the results of many agents and shows them on a page.

Its protocol is that of `logwatch_monitis.protocol`; a SQLite file keeps the results; the page is
server-made HTML. `logwatch_monitis.delivery.embedded` runs it beside an agent,
`logwatch_monitis.server.web.server.serve` alone. Only ``web`` and ``page`` need the packages of the
extra ``monitor``.
"""
