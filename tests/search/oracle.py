# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""The search methods written down from their definitions, with plain lists and no generator.

Each function takes recorded samples (path -> sample with text, finish and value) and gives back
what it asked for, a list of paths for every round, and its candidates as (path, whole text).

A beam is a tuple (path, text, value, judged, over): `value` is that of its last step, `judged` the
one that it competes with, which differs after a rollout.
"""

import math
from fractions import Fraction

START = ((), "", 0.5, 0.5, False)  # the prompt; a blank first step takes its value


def step(samples, beam, index, k=0):
    path, text, value, _, _ = beam
    path = path + (index,)
    sample = samples[path]
    text += sample.text
    if sample.value is not None:
        value = sample.value
    judged, ahead, last = value, path, sample
    for _ in range(k):
        if last.finish == "step":
            ahead = ahead + ("greedy",)
            last = samples[ahead]
            if last.value is not None:
                judged = last.value
    return (path, text, value, judged, sample.finish != "step")


def results(beams):
    return [(beam[0], beam[1]) for beam in beams]


def beam_search(samples, N, M, k=0, rounds=40, distinct=False):
    asked = [[()] * N]
    pool = [(i, step(samples, START, i, k)) for i in range(N)]  # with the order of sampling
    sampled = N
    while len(asked) < rounds:
        contenders = list(pool)
        if distinct:
            contenders = []
            for number, beam in pool:
                copies = [n for n, other in pool if other[1].rstrip() == beam[1].rstrip()]
                if number == min(copies):
                    contenders.append((number, beam))
        kept = []
        while contenders and len(kept) < N // M:
            top = max(beam[3] for _, beam in contenders)
            number = min(n for n, beam in contenders if beam[3] == top)
            kept += [entry for entry in contenders if entry[0] == number]
            contenders = [entry for entry in contenders if entry[0] != number]
        frozen = [entry for entry in kept if entry[1][4]]
        going = [beam for _, beam in kept if not beam[4]]
        if not going:
            pool = [entry for entry in pool if entry[1][4]]
            break
        children = [0] * len(going)
        for i in range(N - M * len(frozen)):
            children[i % len(going)] += 1
        asked.append([])
        pool = frozen
        for beam, count in zip(going, children, strict=True):
            for i in range(count):
                asked[-1].append(beam[0])
                pool.append((sampled, step(samples, beam, i, k)))
                sampled += 1
    return asked, results(beam for _, beam in pool)


def dvts(samples, N, M, rounds=40):
    asked = [[()] * N]
    subtrees = [[step(samples, START, c * M + j) for j in range(M)] for c in range(N // M)]
    done = [False] * (N // M)
    for _ in range(rounds - 1):
        parents = []
        for c, beams in enumerate(subtrees):
            if done[c]:
                continue
            best = beams[0]
            for beam in beams[1:]:
                if beam[3] > best[3]:
                    best = beam
            if best[4]:
                done[c] = True
                subtrees[c] = [beam for beam in beams if beam[4]]
            else:
                parents += [best[0]] * M
                subtrees[c] = [step(samples, best, j) for j in range(M)]
        if not parents:
            break
        asked.append(parents)
    return asked, results(beam for beams in subtrees for beam in beams)


def rebase(samples, N, T=0.1, rounds=40):
    asked = [[()] * N]
    pool = [step(samples, START, i) for i in range(N)]
    candidates, budget = [], N
    while len(asked) < rounds:
        candidates += [beam for beam in pool if beam[4]]
        budget -= len([beam for beam in pool if beam[4]])
        pool = [beam for beam in pool if not beam[4]]
        if budget == 0 or not pool:
            break
        children = largest_remainders([beam[3] for beam in pool], budget, T)
        parents = [beam for beam, n in zip(pool, children, strict=True) for _ in range(n)]
        asked.append([beam[0] for beam in parents])
        indices = [parents[:i].count(beam) for i, beam in enumerate(parents)]
        pool = [step(samples, beam, i) for beam, i in zip(parents, indices, strict=True)]
    return asked, results(candidates + pool)


def largest_remainders(values, budget, T):
    """In exact fractions of the exponentials."""
    weights = [Fraction(math.exp((value - max(values)) / T)) for value in values]
    quotas = [budget * weight / sum(weights) for weight in weights]
    seats = [int(quota) for quota in quotas]
    rest = {i: quota - int(quota) for i, quota in enumerate(quotas)}
    while sum(seats) < budget:
        winner = min(i for i in rest if rest[i] == max(rest.values()))
        seats[winner] += 1
        del rest[winner]
    return seats


def best_of_n(samples, N):
    return [[()] * N], [((i,), samples[(i,)].text) for i in range(N)]


def revise(samples, s, p, memory=4):
    asked = [[()] * p]
    chains = [[(i,)] for i in range(p)]
    for _ in range(s - 1):
        seen = [tuple(chain[max(0, len(chain) - memory):]) for chain in chains]
        asked.append(seen)
        asked.append([("ask", *attempts) for attempts in seen])
        for chain, attempts in zip(chains, seen, strict=True):
            chain.append(("ask", *attempts, 0))
    return asked, [(path, samples[path].text) for chain in chains for path in chain]
