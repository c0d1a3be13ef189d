from mmdet_ifan.preparation.accounting import Account
from mmdet_ifan.preparation.coco_files import MARK
from mmdet_ifan.utils.files import names_below


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_hidden_files_are_not_listed(tmp_path):
    touch(tmp_path, 'b/2', 'b/1', 'a', '.c', '.d/e', '__MACOSX/f', 'b/._1')
    assert list(names_below(tmp_path)) == ['a', 'b/1', 'b/2']
    assert list(names_below(tmp_path, below=False)) == ['__MACOSX', 'a', 'b']


def test_links_to_folders_are_followed_unless_they_lead_back(tmp_path):
    touch(tmp_path, 'root/a', 'elsewhere/b')
    (tmp_path / 'root/link').symlink_to(tmp_path / 'elsewhere')
    (tmp_path / 'elsewhere/up').symlink_to(tmp_path)
    (tmp_path / 'root/self').symlink_to(tmp_path / 'root')
    assert list(names_below(tmp_path / 'root')) == ['a', 'link/b']


def test_all_is_used(tmp_path):
    touch(tmp_path, 'a.jpg', 'a.txt')
    account = Account(tmp_path)
    # The second may be missing, as YOLO's labels may.
    account.use('a.jpg', [tmp_path / 'a.txt', tmp_path / 'b.txt'])
    assert list(account.lines()) == [
        f'Used under {tmp_path}: images: 1; annotation files and lists: 1.'
    ]


def test_what_is_left_out_and_what_is_not_looked_at(tmp_path):
    touch(
        tmp_path,
        'a.jpg',
        'b.jpg',
        'b.xml',
        'c.jpg',
        'x/y/z/1.jpg',
        'x/y/2.jpg',
        'x/3.JPG',
        'note',
    )
    account = Account(tmp_path)
    account.use('a.jpg')
    account.leave_out('damaged images', 'b.jpg', [tmp_path / 'b.xml'])
    account.leave_out('missing images', 'lost.jpg')
    account.leave_out('damaged images', 'c.jpg')
    assert list(account.lines())[1:] == [
        'Left out: damaged images: 2 (b.jpg, c.jpg); missing images: 1 (lost.jpg).',
        'Not looked at: x/y/*.jpg: 2 (x/y/2.jpg, x/y/z/1.jpg); *: 1 (note); '
        'x/*.JPG: 1 (x/3.JPG).',
    ]


def test_lines_stay_short(tmp_path):
    touch(
        tmp_path,
        *(f'{folder}/{name}.json' for folder in range(20) for name in range(9)),
    )
    (_, line) = Account(tmp_path).lines()
    assert line.startswith(
        'Not looked at: 0/*.json: 9 (0/0.json, 0/1.json, 0/2.json and 6 more); '
    )
    assert line.endswith('; others: 108.') and len(line) < 600


def test_what_holds_no_data_by_others_is_not_mentioned(tmp_path):
    touch(
        tmp_path,
        'README.txt',
        'license',
        'Thumbs.db',
        'labels/a.cache',
        'train.py',
        'CHANGES.md',
    )
    ours = tmp_path / 'annotations/instances_train.json'
    ours.parent.mkdir()
    ours.write_text(f'{{"info": {{"description": "{MARK} from voc"}}}}')
    theirs = tmp_path / 'annotations/instances_val.json'
    theirs.write_text('{"info": {"description": "COCO 2017"}}')
    assert list(Account(tmp_path).lines())[1:] == [
        'Not looked at: annotations/*.json: 1 (annotations/instances_val.json).'
    ]


def test_names_do_no_harm_to_the_terminal(tmp_path):
    touch(tmp_path, 'a\x1b[2J.jpg')
    account = Account(tmp_path)
    account.leave_out('images with unusable names', 'b\udce9.jpg')
    text = '\n'.join(account.lines())
    assert '\x1b' not in text and text.encode()
