from __future__ import annotations

import torch

from synthspark_models import QueryWriter, SearchTower
from synthspark_models.query_writer import query_loss
from synthspark_models.tower import tower_loss
from synthspark_models.writer import FIRST_PIECE, PADDING, STOP, UNKNOWN


def tower() -> SearchTower:
    torch.manual_seed(0)
    return SearchTower(50, 8)


def test_vectors_have_length_one_and_padding_counts_nothing() -> None:
    network = tower()
    network.weigh(torch.rand(51) + 0.5)
    one, padded = torch.tensor([[3, 7]]), torch.tensor([[3, 7, 0, 0]])
    torch.testing.assert_close(network.queries(one), network.queries(padded))
    assert torch.allclose(network.items(one).norm(dim=1), torch.ones(1))
    assert torch.isfinite(network.queries(torch.zeros(1, 4, dtype=torch.long))).all()


def test_every_parameter_learns_and_the_state_is_whole() -> None:
    network = tower()
    queries, items = torch.randint(1, 50, (6, 3)), torch.randint(1, 50, (6, 5))
    tower_loss(network, queries, items, torch.arange(6), torch.arange(6)).backward()
    assert [n for n, p in network.named_parameters() if p.grad is None] == []
    twin = tower()
    twin.load_state_dict(network.state_dict())
    assert torch.equal(network.queries(queries), twin.queries(queries))


def test_clicks_of_one_query_are_no_negatives_of_each_other() -> None:
    network = tower()
    queries, items = torch.tensor([[1], [1]]), torch.tensor([[2], [3]])
    alone = tower_loss(network, queries, items, torch.tensor([5, 5]), torch.tensor([0, 1]))
    assert float(alone.detach()) < 1e-6  # nothing is left to be told from
    assert float(tower_loss(network, queries, items, torch.tensor([5, 6]), torch.tensor([0, 1])).detach()) > 0.1


def test_a_tower_finds_what_belongs_together() -> None:
    network = tower()
    adam = torch.optim.Adam(network.parameters(), 0.02)
    ids = torch.arange(1, 11)
    for _ in range(200):
        loss = tower_loss(network, ids[:, None], ids[:, None] + 20, ids, ids)
        adam.zero_grad()
        loss.backward()
        adam.step()
    with torch.no_grad():
        best = (network.queries(ids[:, None]) @ network.items(ids[:, None] + 20).T).argmax(dim=1)
    assert torch.equal(best, torch.arange(10))


WORDS = FIRST_PIECE + 6


def writer(dropout: float = 0.0) -> QueryWriter:
    torch.manual_seed(0)
    return QueryWriter(WORDS, embedding=16, hidden=32, dropout=dropout)


def test_chances_are_chances_and_every_parameter_learns() -> None:
    network = writer(0.2)
    title, query = torch.tensor([[3, 4, 5], [6, 0, 0]]), torch.tensor([[4, 3, STOP], [6, STOP, 0]])
    torch.testing.assert_close(network(title, query).sum(dim=2), torch.ones(2, 3))
    query_loss(network, title, query).backward()
    assert [n for n, p in network.named_parameters() if p.grad is None] == []


def test_what_is_drawn_ends_has_no_word_twice_and_none_unknown() -> None:
    network = writer().eval()
    title, uniform = torch.randint(FIRST_PIECE, WORDS, (300, 4)), torch.rand(300, 6)
    uniform[0], uniform[1] = 0.0, 1.0 - 2.0**-24
    with torch.no_grad():
        made = network.write(title, uniform)
    assert not (made.words == UNKNOWN).any() and (made.log_likelihood <= 0).all()
    for row in made.words.tolist():
        stop = row.index(STOP) if STOP in row else len(row)
        assert stop >= 1 and len(set(row[:stop])) == stop and set(row[stop + 1 :]) <= {PADDING}


def test_it_copies_what_it_has_never_been_taught_to_write() -> None:
    """Queries are the last word of the title; two words occur in no query of the training."""
    network = writer()
    adam = torch.optim.Adam(network.parameters(), 0.01)
    generator = torch.Generator().manual_seed(0)
    for _ in range(400):
        title = torch.randint(FIRST_PIECE, WORDS - 2, (32, 3), generator=generator)
        query = torch.stack([title[:, 2], torch.full((32,), STOP)], dim=1)
        loss = query_loss(network, title, query)
        adam.zero_grad()
        loss.backward()
        adam.step()
    network.eval()
    rare = torch.tensor([[3, 4, WORDS - 1], [5, 3, WORDS - 2]])
    with torch.no_grad():
        made = network.write(rare, torch.full((2, 2), 0.5))
    assert made.words[:, 0].tolist() == [WORDS - 1, WORDS - 2]
