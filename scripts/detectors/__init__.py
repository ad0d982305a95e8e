"""Drift detectors side by side, each in an environment of its own (see `scripts.bench_detectors`).

`windows`, `runner` and everything under `peers` are read inside the peers' environments: they
import nothing but the standard library, numpy and (a peer's file) the peer.
"""
