"""Mixtures of bets on bounded numbers, the source of all anytime-valid statements.

Not here: the statements (see ``sequences``, ``estimate_checks``, ``changes`` and ``gains``).

Let ``u`` be numbers in 0..1 that arrive one after the other, ``mu`` the mean of each given all
that came before, and ``m`` the mean of the ``mu`` so far. A *tilt* ``a`` above -1 multiplies its
wealth by ``(1 + a u) / (1 + a mu)`` at each number. The game is fair, so that the expected wealth
stays 1: it is the bet ``1 + b (u - mu)`` of Waudby-Smith and Ramdas 2024, with
``b = a / (1 + a mu)``. The logarithm is concave, so that the denominators of ``n`` numbers
multiply to ``(1 + a m)^n`` at most: whatever the ``mu`` were and however they drifted,
``prod(1 + a u) / (1 + a m)^n`` is at most the wealth. So is its average over a fixed set of tilts
(the method of mixtures: Robbins 1970, Howard et al. 2021), an *e-process*. By Ville's inequality
it ever reaches ``1 / level`` with a probability of at most ``level``.

The exponent ``log(1 + a)`` of a tilt is a change of the log-odds for numbers that are 0 or 1. It is
set on a grid in powers of two, so that for any number of outcomes and any variance one of the bets
is within a factor of 1.5 of the best one. The state is one sum for each tilt.
"""
