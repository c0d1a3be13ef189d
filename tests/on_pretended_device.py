"""Every loss on a GPU that is not there; run by test_models/test_devices.py."""

import copy

import pytest
import torch
from benchmark.detectors import Load, build_untrained, random_images
from leaves import load
from pretended_device import GPU, pretended_device, to_device


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


@pytest.mark.parametrize(
    'method',
    [
        'adda',
        'da-faster',
        'few-shot',
        'ifan',
        'ifan-teacher',
        'img-ins',
        'mic',
        'mtor',
        'select-align',
        'strong-weak',
        'teacher-hard',
    ],
)
def test_losses_are_made_where_the_images_are(method):
    """And are the CPU's: the same numbers are drawn there."""
    cfg = load(f'{method}_mini-city')
    detector = build_untrained(cfg.model).cpu().train()
    for term in detector.all_alignments.values():
        term.launched = True
        if term.needs_teacher:
            # Nobody is sure of anything yet.
            term.threshold = term.score_thr = 0.0
    teacher = copy.deepcopy(detector).requires_grad_(False).eval()
    images = random_images(
        Load((128, 256), batch=4), cfg.model.roi_head.bbox_head.num_classes
    )
    batch = {
        key: dict(source=values[:2], target=values[2:])
        for key, values in images.items()
    }

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
