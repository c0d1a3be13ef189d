"""Every loss on a GPU that is not there; run by test_models/test_devices.py."""

import copy
import json
from pathlib import Path

import pytest
import torch
from leaves import load
from pretended_device import GPU, pretended_device, to_device
from untrained import untrained

#: By the methods that have losses of their own.
RECORDED = Path(__file__).parent / 'test_engine/recorded_losses.json'


def test_devices_are_kept_apart():
    with pretended_device():
        there = torch.zeros(3, device=GPU)
        assert {
            x.device
            for x in (
                there + 1,
                there.new_ones(2),
                torch.arange(3, device=there.device),
                torch.tensor([1.0, 2.0], device=there.device),
                torch.rand(3).to(there),
                there[torch.tensor([0, 1])],
                there.add_(torch.tensor(1.0)),
            )
        } == {GPU}
        assert there.cpu().device.type == 'cpu' and there.sum().item() == 3
        for mixed in (
            lambda: there + torch.ones(3),
            lambda: torch.cat([there, torch.ones(3)]),
            lambda: there[:1].new_zeros(3).add_(torch.ones(3)),
            lambda: torch.where(torch.ones(3) > 0, there, there),
        ):
            with pytest.raises(RuntimeError, match='pretended:0 and cpu'):
                mixed()


@pytest.mark.parametrize('method', json.loads(RECORDED.read_text()))
def test_losses_are_made_where_the_images_are(method):
    """And are the CPU's: the same numbers are drawn there."""
    detector, teacher, batch = untrained(load(f'{method}_mini-city'))

    def losses() -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        detector.follow(teacher)
        data = detector.data_preprocessor(copy.deepcopy(batch), True)
        return detector.parse_losses(detector(**data, mode='loss'))[1]

    with torch.no_grad():
        here = losses()
        to_device(detector)
        to_device(teacher)
        with pretended_device():
            there = losses()
            assert {value.device for value in there.values()} == {GPU}
            values = {key: value.cpu() for key, value in there.items()}
    assert list(values) == list(here)
    for key, value in here.items():
        assert torch.equal(values[key], value), key
