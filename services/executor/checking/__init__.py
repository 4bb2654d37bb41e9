"""The engine of checks: a plan for a series, work trees to look at, desks to ask at, answers handed on as they come.

It knows neither a table nor a bus: what it is told and whom it tells are Protocols.
"""
