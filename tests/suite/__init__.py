"""The whole stack, driven through the gateway.

`contract.py` says what every answer looks like, `scenes.py` lists every operation, `builders.py` makes what tests look at,
`client.py` speaks plain HTTP, `endpoint.py` is a target that does what it is asked to. None of them imports a service.
`faults.py`, `target.py` and `oracle.py` are for the tests that hurt a stack of their own.
"""
