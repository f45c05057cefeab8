from __future__ import annotations

import torch

from synthspark_models import TableShape, Writer
from synthspark_models.writer import FIRST_PIECE, PADDING, STOP, UNKNOWN, writing_loss

SHAPE = TableShape((4,), 1)
RED, MUG, GIFT = FIRST_PIECE, FIRST_PIECE + 1, FIRST_PIECE + 2
ALLOWED = torch.tensor([[False, True, False, True, True, False], [False, True, False, False, False, True]])


def writer(dropout: float = 0.0) -> Writer:
    torch.manual_seed(0)
    return Writer(SHAPE, 6, hidden=16, embedding=8, dropout=dropout)


def test_shape_gradients_and_state() -> None:
    network = writer(0.3)
    codes, numbers = torch.tensor([[0], [3]]), torch.rand(2, 1)
    pieces = torch.tensor([[RED, MUG, STOP, GIFT, STOP], [STOP, STOP, PADDING, PADDING, PADDING]])
    assert network(codes, numbers, pieces).shape == (2, 5, 6)
    writing_loss(network, codes, numbers, pieces).backward()
    assert [n for n, p in network.named_parameters() if p.grad is None] == []
    twin = writer()
    twin.load_state_dict(network.state_dict())
    network.eval()
    twin.eval()
    assert torch.equal(network(codes, numbers, pieces), twin(codes, numbers, pieces))


def test_a_piece_depends_on_those_before_it_only() -> None:
    network = writer().eval()
    codes, numbers = torch.zeros(1, 1, dtype=torch.long), torch.zeros(1, 1)
    one = network(codes, numbers, torch.tensor([[RED, MUG, STOP]]))
    other = network(codes, numbers, torch.tensor([[RED, STOP, STOP]]))
    assert torch.equal(one[:, :2], other[:, :2]) and not torch.equal(one[:, 2], other[:, 2])
    padded = torch.tensor([[RED, STOP, PADDING, PADDING]])
    torch.testing.assert_close(
        writing_loss(network, codes, numbers, padded), writing_loss(network, codes, numbers, padded[:, :2])
    )


def test_what_is_written_is_allowed_and_ends() -> None:
    network = writer().eval()
    codes, numbers, uniform = torch.zeros(500, 1, dtype=torch.long), torch.rand(500, 1), torch.rand(500, 12)
    uniform[0], uniform[1] = 0.0, 1.0 - 2.0**-24
    with torch.no_grad():
        rows = network.write(codes, numbers, uniform, ALLOWED)
    assert not (rows == UNKNOWN).any()
    for row in rows.tolist():
        stops = [i for i, piece in enumerate(row) if piece == STOP]
        first = stops[0] if stops else 12
        second = stops[1] if len(stops) > 1 else 12
        assert len(stops) <= 2 and set(row[:first]) <= {RED, MUG} and set(row[first + 1 : second]) <= {GIFT}
        assert set(row[second + 1 :]) <= {PADDING}
    assert len({tuple(row) for row in rows.tolist()}) > 50


def test_it_learns_what_goes_with_what() -> None:
    """Code 1: red gift; code 2: mug."""
    network = writer()
    codes, numbers = torch.tensor([[1], [2]] * 32), torch.zeros(64, 1)
    pieces = torch.tensor([[RED, STOP, GIFT, STOP], [MUG, STOP, STOP, PADDING]] * 32)
    optimizer = torch.optim.Adam(network.parameters(), 0.02)
    for _ in range(60):
        optimizer.zero_grad()
        writing_loss(network, codes, numbers, pieces).backward()
        optimizer.step()
    network.eval()
    with torch.no_grad():
        rows = network.write(codes, numbers, torch.rand(64, 4), ALLOWED)
    assert (rows == pieces).all(dim=1).float().mean() > 0.9
