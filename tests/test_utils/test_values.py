import pytest

from mmdet_ifan.utils.values import read_flag, read_index, read_number


@pytest.mark.parametrize(
    'text, number',
    [
        ('12', 12),
        (' 12.50\n', 12.5),
        ('1.25e+01', 12.5),
        ('1E1', 10),
        ('+.5', 0.5),
        ('-3.', -3),
        ('000', 0),
    ],
)
def test_numbers(text, number):
    assert read_number(text) == number


@pytest.mark.parametrize(
    'text',
    [
        None,
        '',
        ' ',
        'nan',
        'inf',
        '-Infinity',
        '1e400',
        '1,5',
        '1_0',
        '0x1',
        '٣',
        '1 2',
        '12px',
        '1e',
        '.',
        'e1',
    ],
)
def test_what_is_no_number(text):
    with pytest.raises(ValueError, match='is not a number$'):
        read_number(text)


def test_whole_numbers():
    assert [read_index(text) for text in ('7', '7.0', '7e0', '-7', '1e3')] == [
        7,
        7,
        7,
        -7,
        1000,
    ]
    with pytest.raises(ValueError, match="'7.5' is not a whole number"):
        read_index('7.5')


def test_flags():
    assert all(map(read_flag, ['1', '1.0', 'TRUE', ' yes ', 'y', 'on']))
    assert not any(map(read_flag, [None, '', '0', '0.00', 'False', 'no']))
    for text in ('2', 'maybe', 'nan', '1,0'):
        with pytest.raises(ValueError, match='is neither yes nor no'):
            read_flag(text)
