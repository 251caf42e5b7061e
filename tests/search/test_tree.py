# Copyright 2026 The ttc_jax Authors
# SPDX-License-Identifier: Apache-2.0
"""Nodes know their solution, trees what became of their nodes."""

import pytest

from ttc_jax.search.strategy import ranked
from ttc_jax.search.tree import Node, Tree


def small_tree() -> Tree:
    prompt = Node(-1)
    first = Node(0, prompt, text="one\n", scores=(0.5,))
    second = Node(1, prompt, text="two\n", scores=(0.1,))
    blank = Node(2, first, round=1, text="\n")
    last = Node(3, blank, round=2, text="three", finish="stop", scores=(0.25, 0.75))
    return Tree("q", [prompt, first, second, blank, last], [last])


def test_a_node_knows_its_solution():
    prompt, first, _, blank, last = small_tree().nodes
    assert last.path == [first, blank, last]
    assert last.solution == "one\n\nthree"
    assert last.all_scores == [0.5, 0.25, 0.75]
    assert (prompt.path, prompt.solution, prompt.all_scores) == ([], "", [])


@pytest.mark.parametrize("finish, finished", [("step", False), ("stop", True), ("length", True)])
def test_only_a_step_can_go_on(finish, finished):
    assert Node(0, finish=finish).finished is finished


def test_a_tree_knows_what_became_of_its_nodes():
    tree = small_tree()
    roles = [tree.role(node) for node in tree.nodes]
    assert roles == ["prompt", "expanded", "pruned", "expanded", "candidate"]


def test_ranked_is_from_the_highest_value_and_of_equals_from_the_first_sampled():
    values = [(5, 0.5), (2, 0.5), (3, 0.9), (1, 0.1), (4, 0.9)]
    nodes = ranked([Node(number, value=value) for number, value in values])
    assert [node.number for node in nodes] == [3, 4, 2, 5, 1]
