"""Exports of the common tools, with all the files around them."""

import pytest

from mmdet_ifan.preparation import Options
from mmdet_ifan.preparation.custom import open_source, prepare_custom

# 30 x 20 px: centre (15, 5), 12 px wide, 6 px tall.
LINE = '1 0.5 0.25 0.4 0.3\n'
BOX = ('dog', [9, 2, 12, 6], 0)
XML = """<annotation{attributes}>
  <folder>images</folder><filename>{name}.jpg</filename>{more}
  <size><width>30</width><height>20</height><depth>3</depth></size>
  <segmented>0</segmented>
  <object><name>dog</name><pose>Unspecified</pose>{flags}
    <bndbox><xmin>10</xmin>{bndbox}<ymax>8</ymax></bndbox>{after}
  </object>
</annotation>
"""


@pytest.fixture
def write(tmp_path, write_image):
    """Writer of files: images, labels with one dog, or other text."""

    def write(name, content=None, **fields):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is not None:
            path.write_text(content)
        elif path.suffix == '.jpg':
            write_image(path)
        elif path.suffix == '.xml':
            path.write_text(
                XML.format(
                    **dict(
                        dict(
                            attributes='',
                            name=path.stem,
                            more='',
                            flags='',
                            after='',
                            bndbox='<ymin>3</ymin><xmax>21</xmax>',
                        ),
                        **fields,
                    )
                )
            )
        else:
            path.write_text(LINE)

    return write


# --- YOLO --------------------------------------------------------------------


def labelimg_yolo(write):
    for name in ('a.jpg', 'a.txt', 'b.jpg'):
        write(name)
    write('classes.txt', 'cat\ndog\n')
    return dict(train=['a.jpg', 'b.jpg'])


def labelimg_yolo_in_images(write):
    for name in ('a.jpg', 'a.txt', 'b.jpg', 'b.txt'):
        write(f'images/{name}')
    write('images/classes.txt', 'cat\ndog\n')
    return dict(train=['images/a.jpg', 'images/b.jpg'])


def label_studio_yolo(write):
    for name in ('0a1b2c3d-a', '4e5f6a7b-b'):
        write(f'images/{name}.jpg')
        write(f'labels/{name}.txt')
    write('classes.txt', 'cat\ndog')
    write(
        'notes.json',
        '{"categories": [{"id": 0, "name": "cat"}, {"id": 1, '
        '"name": "dog"}], "info": {"contributor": "Label Studio"}}',
    )
    return dict(
        train=['images/0a1b2c3d-a.jpg', 'images/4e5f6a7b-b.jpg'], left=['notes.json']
    )


def cvat_yolo(write):
    for split, name in (('train', 'a'), ('train', 'b'), ('valid', 'c')):
        write(f'obj_{split}_data/{name}.jpg')
        write(f'obj_{split}_data/{name}.txt')
    write('train.txt', 'data/obj_train_data/a.jpg\ndata/obj_train_data/b.jpg\n')
    write('valid.txt', 'data/obj_valid_data/c.jpg\n')
    write('obj.names', 'cat\ndog\n')
    write(
        'obj.data',
        'classes = 2\ntrain = data/train.txt\n'
        'valid = data/valid.txt\nnames = data/obj.names\n'
        'backup = backup/\n',
    )
    return dict(
        train=['obj_train_data/a.jpg', 'obj_train_data/b.jpg'],
        val=['obj_valid_data/c.jpg'],
    )


def darknet(write):
    for name in ('a', 'b', 'c'):
        write(f'data/obj/{name}.jpg')
        write(f'data/obj/{name}.txt')
    write('data/train.txt', 'data/obj/a.jpg\ndata/obj/b.jpg\n')
    write('data/test.txt', 'data/obj/c.jpg\n')
    write('data/obj.names', 'cat\ndog\n')
    write(
        'data/obj.data',
        'classes=2\ntrain=data/train.txt\n'
        'valid=data/test.txt\nnames=data/obj.names\nbackup=backup/\n',
    )
    return dict(train=['data/obj/a.jpg', 'data/obj/b.jpg'], val=['data/obj/c.jpg'])


def cvat_ultralytics(write):
    for split, name in (('train', 'a'), ('train', 'sub/b'), ('val', 'c')):
        write(f'images/{split}/{name}.jpg')
        write(f'labels/{split}/{name}.txt')
    write('train.txt', 'data/images/train/a.jpg\ndata/images/train/sub/b.jpg\n')
    write('val.txt', 'data/images/val/c.jpg\n')
    write(
        'data.yaml',
        'names:\n  0: cat\n  1: dog\npath: .\ntrain: train.txt\nval: val.txt\n',
    )
    return dict(
        train=['images/train/a.jpg', 'images/train/sub/b.jpg'], val=['images/val/c.jpg']
    )


def roboflow_yolo(write):
    for split, name in (('train', 'a'), ('train', 'b'), ('valid', 'c'), ('test', 'd')):
        write(f'{split}/images/{name}_jpg.rf.0123abcd.jpg')
        write(f'{split}/labels/{name}_jpg.rf.0123abcd.txt')
    write(
        'data.yaml',
        'train: ../train/images\nval: ../valid/images\n'
        "test: ../test/images\n\nnc: 2\nnames: ['cat', 'dog']\n\nroboflow:\n"
        '  workspace: me\n  project: pets\n  version: 1\n',
    )
    write('README.roboflow.txt', 'pets - v1\n')
    write('README.dataset.txt', '# pets\n')
    return {
        split: [f'{folder}/images/{name}_jpg.rf.0123abcd.jpg' for name in names]
        for split, folder, names in (
            ('train', 'train', 'ab'),
            ('val', 'valid', 'c'),
            ('test', 'test', 'd'),
        )
    }


def roboflow_darknet(write):
    for split, name in (('train', 'a'), ('train', 'b'), ('valid', 'c')):
        write(f'{split}/{name}.jpg')
        write(f'{split}/{name}.txt')
        write(f'{split}/_darknet.labels', 'cat\ndog\n')
    write('README.roboflow.txt', 'pets - v1\n')
    return dict(train=['train/a.jpg', 'train/b.jpg'], val=['valid/c.jpg'])


def fiftyone_yolov5(write):
    for split, name in (('train', 'a'), ('train', 'b'), ('val', 'c')):
        write(f'images/{split}/{name}.jpg')
        write(f'labels/{split}/{name}.txt')
    write(
        'dataset.yaml',
        'names:\n  0: cat\n  1: dog\n'
        'path: /home/somebody/export\ntrain: ./images/train/\n'
        'val: ./images/val/\n',
    )
    return dict(
        train=['images/train/a.jpg', 'images/train/b.jpg'], val=['images/val/c.jpg']
    )


def fiftyone_yolov4(write):
    for name in ('a', 'b'):
        write(f'data/{name}.jpg')
        write(f'data/{name}.txt')
    write('obj.names', 'cat\ndog')
    write('images.txt', 'data/a.jpg\ndata/b.jpg\n')
    return dict(train=['data/a.jpg', 'data/b.jpg'], left=['images.txt'])


def ultralytics(write):
    for split, name in (('train', 'a'), ('train', 'b'), ('val', 'c')):
        write(f'images/{split}/{name}.jpg')
        write(f'labels/{split}/{name}.txt')
        write(f'labels/{split}.cache', 'numpy')
    write(
        'coco8.yaml',
        'path: coco8 # dataset root dir\ntrain: images/train\n'
        'val: images/val\ntest: # test images (optional)\n\nnames:\n'
        '  0: cat\n  1: dog\n\ndownload: https://example.org/coco8.zip\n',
    )
    write('LICENSE', 'AGPL-3.0')
    write('README.md', '# coco8')
    return dict(
        train=['images/train/a.jpg', 'images/train/b.jpg'], val=['images/val/c.jpg']
    )


def ultralytics_autosplit(write):
    for name in 'abc':
        write(f'images/{name}.jpg')
        write(f'labels/{name}.txt')
    write(
        'data.yaml',
        'path: ../datasets/pets\ntrain: autosplit_train.txt\n'
        'val: autosplit_val.txt\nnames: [cat, dog]\n',
    )
    write('autosplit_train.txt', './images/a.jpg\n./images/b.jpg\n')
    write('autosplit_val.txt', './images/c.jpg\n')
    return dict(train=['images/a.jpg', 'images/b.jpg'], val=['images/c.jpg'])


# --- VOC ---------------------------------------------------------------------


def labelimg_voc(write):
    for name in 'ab':
        write(f'{name}.jpg')
        write(
            f'{name}.xml',
            attributes=' verified="yes"',
            more='<path>C:\\Users\\me\\pets\\a.jpg</path>',
            flags='<truncated>0</truncated><difficult>0</difficult>',
        )
    return dict(train=['a.jpg', 'b.jpg'])


def labelimg_voc_in_another_folder(write):
    for name in 'ab':
        write(f'images/{name}.jpg')
        write(f'images/{name}.xml')
    return dict(train=['images/a.jpg', 'images/b.jpg'])


def label_studio_voc(write):
    for name in 'ab':
        write(f'images/{name}.jpg')
        write(
            f'Annotations/{name}.xml',
            flags='<truncated>0</truncated><difficult>0</difficult>',
        )
    return dict(train=['images/a.jpg', 'images/b.jpg'])


def cvat_voc(write):
    for name in ('a', 'camera 1/b'):
        write(f'JPEGImages/{name}.jpg')
        write(
            f'Annotations/{name}.xml',
            after='<attributes><attribute><name>'
            'rotation</name><value>0.0</value></attribute></attributes>',
            bndbox='<ymin>3.0</ymin><xmax>21.00</xmax>',
            flags='<truncated>False</truncated><difficult>False</difficult>',
        )
    write('ImageSets/Main/default.txt', 'a\ncamera 1/b\n')
    write('labelmap.txt', '# label:color_rgb:parts:actions\ncat:1,2,3::\n')
    return dict(
        train=['JPEGImages/a.jpg', 'JPEGImages/camera 1/b.jpg'], left=['labelmap.txt']
    )


def roboflow_voc(write):
    for split, name in (('train', 'a'), ('train', 'b'), ('valid', 'c'), ('test', 'd')):
        write(f'{split}/{name}.jpg')
        write(
            f'{split}/{name}.xml',
            bndbox='<xmax>21</xmax><ymin>3</ymin>',
            flags='<difficult>0</difficult><occluded>0</occluded>',
        )
    write('README.roboflow.txt', 'pets - v1\n')
    return dict(
        train=['train/a.jpg', 'train/b.jpg'], val=['valid/c.jpg'], test=['test/d.jpg']
    )


def fiftyone_voc(write):
    for name in 'ab':
        write(f'data/{name}.jpg')
        write(f'labels/{name}.xml', flags='<difficult>None</difficult>')
    return dict(train=['data/a.jpg', 'data/b.jpg'])


def labelme_voc(write):
    for name in 'ab':
        write(f'JPEGImages/{name}.jpg')
        write(
            f'Annotations/{name}.xml',
            more='<database/><annotation/><image/>',
            bndbox='<ymin>3.0</ymin><xmax>21.0</xmax>',
            flags='<truncated>0</truncated><difficult>0</difficult>',
        )
        write(f'AnnotationsVisualization/{name}.jpg')
    write('class_names.txt', '_background_\ncat\ndog\n')
    return dict(
        train=['JPEGImages/a.jpg', 'JPEGImages/b.jpg'],
        left=['AnnotationsVisualization/*.jpg: 2', 'class_names.txt'],
    )


def kaggle_voc(write):
    for name in 'ab':
        write(f'images/{name}.jpg')
        write(f'annotations/{name}.xml')
    return dict(train=['images/a.jpg', 'images/b.jpg'])


def devkit(write):
    for year, names in (('VOC2007', 'ab'), ('VOC2012', 'ac')):
        for name in names:
            write(f'VOCdevkit/{year}/JPEGImages/{name}.jpg')
            write(f'VOCdevkit/{year}/Annotations/{name}.xml')
    lists = 'ImageSets/Main/trainval.txt'
    write(f'VOCdevkit/VOC2007/{lists}', 'a\n')
    write('VOCdevkit/VOC2007/ImageSets/Main/test.txt', 'b\n')
    write(f'VOCdevkit/VOC2012/{lists}', 'a\nc\n')
    write('VOCdevkit/VOC2012/ImageSets/Main/dog_trainval.txt', 'a  1\nc -1\n')
    write('VOCdevkit/VOC2012/SegmentationClass/a.png', 'pixels')
    return dict(
        trainval=[
            f'VOCdevkit/{name}.jpg'
            for name in (
                'VOC2007/JPEGImages/a',
                'VOC2012/JPEGImages/a',
                'VOC2012/JPEGImages/c',
            )
        ],
        test=['VOCdevkit/VOC2007/JPEGImages/b.jpg'],
        left=['VOCdevkit/VOC2012/SegmentationClass/a.png'],
    )


YOLO = [
    labelimg_yolo,
    labelimg_yolo_in_images,
    label_studio_yolo,
    cvat_yolo,
    darknet,
    cvat_ultralytics,
    roboflow_yolo,
    roboflow_darknet,
    fiftyone_yolov5,
    fiftyone_yolov4,
    ultralytics,
    ultralytics_autosplit,
]
VOC = [
    labelimg_voc,
    labelimg_voc_in_another_folder,
    label_studio_voc,
    cvat_voc,
    roboflow_voc,
    fiftyone_voc,
    labelme_voc,
    kaggle_voc,
    devkit,
]


@pytest.mark.parametrize(
    'build, name',
    [*((build, 'yolo') for build in YOLO), *((build, 'voc') for build in VOC)],
)
def test_export_is_read_as_it_comes(tmp_path, write, read, build, name):
    splits = build(write)
    left = splits.pop('left', [])
    source, _ = open_source(tmp_path)
    assert source.FORMAT == name
    report = prepare_custom(source, Options(workers=1))
    assert not report.problems.counts
    assert {each.path.name for each in report.summaries} == {
        f'instances_{split}.json' for split in splits
    }
    for split, names in splits.items():
        found = read(tmp_path, split)
        assert list(found) == names
        for image, boxes in found.items():
            # LabelImg writes no file for it.
            is_empty = build is labelimg_yolo and image == 'b.jpg'
            assert boxes == ([] if is_empty else [BOX])
    total = sum(map(len, splits.values()))
    assert f': images: {total}; ' in report.account[0]
    assert len(report.account) == 1 + bool(left)
    for each in left:
        assert each in report.account[-1]
    # No output of the first run is taken for input.
    again, _ = open_source(tmp_path)
    assert (
        prepare_custom(again, Options(workers=1, check=True, strict=True)).account
        == report.account
    )


@pytest.mark.parametrize(
    'images, labels',
    [('data', 'labels'), ('images', 'labels'), ('training/images', 'training/labels')],
)
def test_kitti_of_other_tools(tmp_path, write, read, images, labels):
    for name in 'ab':
        write(f'{images}/{name}.jpg')
        write(
            f'{labels}/{name}.txt',
            'Car 0 0 0 9 2 21 8 0 0 0 0 0 0 0' + ' 0.75' * (name == 'b'),
        )
    source, shown = open_source(tmp_path)
    assert source.FORMAT == 'kitti' and shown == f'{tmp_path}/{labels}/*.txt'
    report = prepare_custom(source, Options(workers=1))
    assert not report.problems.counts and len(report.account) == 1
    assert read(tmp_path) == {
        f'{images}/{name}.jpg': [('car', [9, 2, 12, 6], 0)] for name in 'ab'
    }
