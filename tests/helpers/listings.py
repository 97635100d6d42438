"""Empty files of constructed corpora, and summaries of their listings."""

import zipfile

VIDEO = "Actor_01/01-01-05-01-01-01-01.mp4"
AUDIO = "Actor_01/03-01-05-01-01-01-01.wav"
"""Files of RAVDESS."""
VIDEO1 = "id10001/1zcIwhmdeo4"
"""A video of VoxCeleb1."""


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def archive(path, *names):
    with zipfile.ZipFile(path, "w") as file:
        for name in names:
            file.writestr(name, b"not looked at")
    return path


def names(listing):
    return {split: [clip.clip_id for clip in clips] for split, clips in listing.splits.items() if clips}


def only_clip(listing):
    ((clip,),) = [clips for clips in listing.splits.values() if clips]
    return clip


def rejected(listing, root):
    return {(str(rejection.path.relative_to(root)), rejection.reason) for rejection in listing.rejections}
