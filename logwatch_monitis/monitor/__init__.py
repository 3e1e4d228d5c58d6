"""The embedded custom monitor: keeps the results of many agents and shows them on a page.

Its protocol is that of `logwatch_monitis.protocol`; a SQLite file keeps the results; the page is
server-made HTML. `child.MonitorProcess` runs it beside an agent, `server.serve` alone. Only
`app`, `page` and `server` need the packages of the extra ``monitor``.
"""
