"""Imitation: observation, features, reward, contact graph, termination and PD targets as pure functions.

Every function works on named arrays with free leading axes, takes NumPy or JAX and answers in kind; none knows an
engine.
"""
